//! What a document says of one resource: the fields of the API's own input, with names in place of ids and without state.
//! A new field of an input is a new field of the document.

use std::{borrow::Cow, marker::PhantomData};

use entity::{agent, circle, mcp_server, member, model, provider};
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, TryIntoModel};
use serde::Serialize;
use serde_json::{Map, Value};

use super::shown::ReferenceNames;
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
    description: &'static str,
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

/// One resource in a document: a valid input, in which free JSON is text.
#[derive(Clone, Debug)]
pub(crate) struct DocumentEntry<E> {
    pub(crate) fields: Map<String, Value>,
    of: PhantomData<E>,
}

impl<E: Described> DocumentEntry<E> {
    /// A text of the entry, if it has one.
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.as_str()
    }
}

impl<E: Described> Type for DocumentEntry<E> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        E::SCHEMA.into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(E::SCHEMA.to_owned())
    }

    fn register(registry: &mut Registry) {
        E::Create::register(registry);
        if E::SCHEMA != E::Create::name() {
            registry.create_schema::<Self, _>(E::SCHEMA.to_owned(), schema::<E>);
        }
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::empty())
    }
}

impl<E: Described> ParseFromJSON for DocumentEntry<E> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::Object(fields)) => Ok(Self {
                fields,
                of: PhantomData,
            }),
            other => Err(ParseError::expected_type(other.unwrap_or_default())),
        }
    }
}

impl<E: Described> ToJSON for DocumentEntry<E> {
    fn to_json(&self) -> Option<Value> {
        Some(self.fields.clone().into())
    }
}

/// The schema of the API's input, adapted.
fn schema<E: Described>(registry: &mut Registry) -> MetaSchema {
    Vec::<DocumentEntry<member::Entity>>::register(registry);
    let mut schema = create_schema::<E>(registry);
    let properties = std::mem::take(&mut schema.properties).into_iter();
    let kept = properties.filter(|(field, _)| !E::STATE.contains(field));
    schema.properties = kept.map(by_name::<E>).chain(E::further()).collect();
    for required in &mut schema.required {
        if let Some(reference) = reference::<E>(required) {
            *required = reference.name;
        }
    }
    schema
}

fn create_schema<E: Described>(registry: &mut Registry) -> MetaSchema {
    E::Create::register(registry);
    registry.schemas[&*E::Create::name()].clone()
}

fn reference<E: Described>(field: &str) -> Option<&'static Reference> {
    let mut references = E::REFERENCES.iter();
    references.find(|reference| reference.field == field)
}

/// A property that holds names where the API's holds ids.
fn by_name<E: Described>(
    (field, schema): (&'static str, MetaSchemaRef),
) -> (&'static str, MetaSchemaRef) {
    let Some(reference) = reference::<E>(field) else {
        return (field, schema);
    };
    let name = MetaSchema {
        min_length: Some(1),
        // The name of a provider, a slash, and that of a model.
        max_length: Some(320),
        ..MetaSchema::new("string")
    };
    let MetaSchemaRef::Inline(ids) = schema else {
        return (reference.name, MetaSchemaRef::Inline(Box::new(name)));
    };
    let named = if ids.ty == "array" {
        MetaSchema {
            items: Some(Box::new(MetaSchemaRef::Inline(Box::new(name)))),
            max_items: ids.max_items,
            default: ids.default,
            ..MetaSchema::new("array")
        }
    } else {
        MetaSchema {
            nullable: ids.nullable,
            ..name
        }
    };
    let named = MetaSchema {
        description: Some(reference.description),
        ..named
    };
    (reference.name, MetaSchemaRef::Inline(Box::new(named)))
}

/// A field of the document.
#[derive(Debug)]
pub(crate) struct EntryField {
    /// The API's name.
    pub(crate) field: &'static str,
    pub(crate) reference: Option<&'static Reference>,
    /// What an absent field stands for.
    pub(crate) default: Value,
    /// Whether it is a list of objects of which each has some of several fields.
    pub(crate) lists_objects: bool,
}

/// The fields that the API's input and the document share, in the order of the input.
pub(crate) fn fields_of<E: Described>() -> Vec<EntryField> {
    let properties = create_schema::<E>(&mut Registry::new()).properties;
    let kept = properties
        .into_iter()
        .filter(|(field, _)| !E::STATE.contains(field));
    let field = |(field, schema): (&'static str, MetaSchemaRef)| {
        let inline = match &schema {
            MetaSchemaRef::Inline(schema) => Some(schema),
            MetaSchemaRef::Reference(_) => None,
        };
        let items = inline.and_then(|schema| schema.items.as_deref());
        EntryField {
            field,
            reference: reference::<E>(field),
            default: inline
                .and_then(|schema| schema.default.clone())
                .unwrap_or_default(),
            lists_objects: matches!(items, Some(MetaSchemaRef::Reference(_))),
        }
    };
    kept.map(field).collect()
}
