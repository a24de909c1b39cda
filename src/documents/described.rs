//! The tables whose rows documents describe: what creates a row, what the API shows of it, and what the document calls it.

use entity::{agent, circle, mcp_server, member, model, provider};
use poem_openapi::{
    registry::MetaSchemaRef,
    types::{ParseFromJSON, Type},
};
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, TryIntoModel};
use serde::Serialize;

use super::{entry::DocumentEntry, shown::ReferenceNames};
use crate::{
    agents::{
        self,
        dto::{Agent, AgentCreate},
    },
    circles::{
        self,
        dto::{Circle, CircleCreate},
        labels,
    },
    error::Error,
    mcp_servers::{
        self,
        dto::{McpServer, McpServerCreate},
    },
    members::{
        self,
        dto::{Member, MemberCreate},
    },
    models::{
        self,
        dto::{Model, ModelCreate},
    },
    providers::{
        self,
        dto::{Provider, ProviderCreate},
    },
    write::{Action, Change, Resource},
};

/// A field of the API that holds ids, and what the document has in its place.
#[derive(Debug)]
pub(crate) struct Reference {
    /// The API's field.
    pub(crate) field: &'static str,
    pub(crate) name: &'static str,
    pub(crate) target: Resource,
    pub(super) description: &'static str,
}

/// A table whose rows documents describe.
pub(crate) trait Described:
    EntityTrait<
        Model: IntoActiveModel<Self::ActiveModel> + Clone + Send,
        ActiveModel: TryIntoModel<Self::Model> + Send,
    >
{
    /// What creates a row through the API.
    type Create: ParseFromJSON + Into<Self::ActiveModel> + 'static;
    /// What the API shows of a row.
    type Row: From<Self::Model> + Serialize;
    const RESOURCE: Resource;
    /// The name of the schema.
    const SCHEMA: &'static str;
    const REFERENCES: &'static [Reference] = &[];
    /// The fields that say what the resource is doing.
    const STATE: &'static [&'static str] = &[];

    fn id(row: &Self::Model) -> i64;

    /// What documents call the row.
    fn name(row: &Self::Model, names: &ReferenceNames) -> String;

    /// What no other row has.
    fn key(row: &Self::Model) -> String;

    /// The key that the row may have had before a document gave it this one.
    fn former_key(_row: &Self::Model) -> Option<String> {
        None
    }

    /// Checks what the schema can't express.
    ///
    /// # Errors
    /// What the API would reject.
    fn check(row: &Self::Model) -> Result<(), Error>;

    /// An audit entry.
    fn change(action: Action, row: &Self::Model) -> Change;

    /// Fields that only the document has.
    fn further() -> Vec<(&'static str, MetaSchemaRef)> {
        Vec::new()
    }
}

impl Described for provider::Entity {
    type Create = ProviderCreate;
    type Row = Provider;
    const RESOURCE: Resource = Resource::Provider;
    const SCHEMA: &'static str = "ProviderCreate";

    fn id(row: &Self::Model) -> i64 {
        row.id
    }

    fn name(row: &Self::Model, _: &ReferenceNames) -> String {
        row.name.clone()
    }

    fn key(row: &Self::Model) -> String {
        row.name.to_ascii_lowercase()
    }

    fn check(row: &Self::Model) -> Result<(), Error> {
        providers::queries::check_address(row)
    }

    fn change(action: Action, row: &Self::Model) -> Change {
        providers::queries::change(action, row).revision(row.revision)
    }
}

impl Described for mcp_server::Entity {
    type Create = McpServerCreate;
    type Row = McpServer;
    const RESOURCE: Resource = Resource::McpServer;
    const SCHEMA: &'static str = "McpServerCreate";

    fn id(row: &Self::Model) -> i64 {
        row.id
    }

    fn name(row: &Self::Model, _: &ReferenceNames) -> String {
        row.name.clone()
    }

    fn key(row: &Self::Model) -> String {
        row.name.clone()
    }

    fn check(row: &Self::Model) -> Result<(), Error> {
        mcp_servers::queries::check(row)
    }

    fn change(action: Action, row: &Self::Model) -> Change {
        mcp_servers::queries::change(action, row).revision(row.revision)
    }
}

impl Described for model::Entity {
    type Create = ModelCreate;
    type Row = Model;
    const RESOURCE: Resource = Resource::Model;
    const SCHEMA: &'static str = "DocumentModel";
    const REFERENCES: &'static [Reference] = &[Reference {
        field: "provider_id",
        name: "provider",
        target: Resource::Provider,
        description: "The name of the provider that serves the model.",
    }];

    fn id(row: &Self::Model) -> i64 {
        row.id
    }

    fn name(row: &Self::Model, names: &ReferenceNames) -> String {
        match names.get(Resource::Provider, row.provider_id) {
            Some(provider) => format!("{provider}/{}", row.model_name),
            None => row.model_name.clone(),
        }
    }

    fn key(row: &Self::Model) -> String {
        format!("{}/{}", row.provider_id, row.model_name)
    }

    fn check(row: &Self::Model) -> Result<(), Error> {
        models::facts::check(&row.clone().into_active_model().reset_all())
    }

    fn change(action: Action, row: &Self::Model) -> Change {
        models::queries::change(action, row).revision(row.revision)
    }
}

impl Described for agent::Entity {
    type Create = AgentCreate;
    type Row = Agent;
    const RESOURCE: Resource = Resource::Agent;
    const SCHEMA: &'static str = "DocumentAgent";
    const REFERENCES: &'static [Reference] = &[
        Reference {
            field: "model_id",
            name: "model",
            target: Resource::Model,
            description: "The model that the agent runs on, as `provider/model_name`.",
        },
        Reference {
            field: "fallback_model_ids",
            name: "fallback_models",
            target: Resource::Model,
            description: "The models to try if the agent's model fails, in this order, each as `provider/model_name`.",
        },
    ];
    const STATE: &'static [&'static str] = &["status"];

    fn id(row: &Self::Model) -> i64 {
        row.id
    }

    fn name(row: &Self::Model, _: &ReferenceNames) -> String {
        row.external_id.as_ref().unwrap_or(&row.name).clone()
    }

    fn key(row: &Self::Model) -> String {
        match &row.external_id {
            Some(external_id) => format!("external_id {external_id}"),
            None => unnamed_key(row),
        }
    }

    fn former_key(row: &Self::Model) -> Option<String> {
        row.external_id.as_ref().map(|_| unnamed_key(row))
    }

    fn check(row: &Self::Model) -> Result<(), Error> {
        agents::links::check(row)
    }

    fn change(action: Action, row: &Self::Model) -> Change {
        agents::queries::change(action, row)
    }
}

impl Described for circle::Entity {
    type Create = CircleCreate;
    type Row = Circle;
    const RESOURCE: Resource = Resource::Circle;
    const SCHEMA: &'static str = "DocumentCircle";

    fn further() -> Vec<(&'static str, MetaSchemaRef)> {
        let mut members = Vec::<DocumentEntry<member::Entity>>::schema_ref();
        if let MetaSchemaRef::Inline(members) = &mut members {
            members.description = Some("The circle's members, which are all that it has.");
            members.max_items = Some(10_000);
        }
        vec![("members", members)]
    }

    fn id(row: &Self::Model) -> i64 {
        row.id
    }

    fn name(row: &Self::Model, _: &ReferenceNames) -> String {
        row.name.clone()
    }

    fn key(row: &Self::Model) -> String {
        row.name.clone()
    }

    fn check(row: &Self::Model) -> Result<(), Error> {
        circles::queries::check_settings(&row.clone().into_active_model().reset_all())?;
        labels::check_all("#/protected_labels", &row.protected_labels.0)
    }

    fn change(action: Action, row: &Self::Model) -> Change {
        circles::queries::change(action, row)
    }
}

impl Described for member::Entity {
    type Create = MemberCreate;
    type Row = Member;
    const RESOURCE: Resource = Resource::Member;
    const SCHEMA: &'static str = "DocumentMember";
    const REFERENCES: &'static [Reference] = &[Reference {
        field: "agent_id",
        name: "agent",
        target: Resource::Agent,
        description: "The agent: its `external_id` or, if it has none, its `name`.",
    }];

    fn id(row: &Self::Model) -> i64 {
        row.id
    }

    fn name(row: &Self::Model, names: &ReferenceNames) -> String {
        names
            .get(Resource::Agent, row.agent_id)
            .unwrap_or_default()
            .to_owned()
    }

    fn key(row: &Self::Model) -> String {
        format!("{}/{}", row.circle_id, row.agent_id)
    }

    fn check(_: &Self::Model) -> Result<(), Error> {
        Ok(())
    }

    fn change(action: Action, row: &Self::Model) -> Change {
        members::queries::change(action, "", row)
    }
}

/// The key of an agent without an external id.
fn unnamed_key(row: &agent::Model) -> String {
    format!("name {}", row.name)
}
