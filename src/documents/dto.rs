//! Documents on the wire.

use entity::{agent, circle, mcp_server, model, provider};
use poem_openapi::{Enum, Object};
use serde::Serialize;
use serde_json::Value;

use super::entry::DocumentEntry;
use crate::{diff::FieldChange, write::Resource};

/// What a document describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum DocumentKind {
    /// Parts of a registry of circles.
    CircleRegistry,
}

impl DocumentKind {
    pub(crate) const NAME: &'static str = "CircleRegistry";
}

/// The version of documents that this program reads and writes.
pub(crate) const DOCUMENT_VERSION: i64 = 1;

/// Providers, models, MCP servers, agents and circles, which refer to each other by name. An absent field has its default.
#[derive(Clone, Debug, Object)]
#[oai(rename = "Document")]
pub(crate) struct RegistryDocument {
    /// What the document describes.
    pub(crate) kind: DocumentKind,
    /// The version of the document's schema.
    #[oai(validator(minimum(value = "1"), maximum(value = "1")))]
    pub(crate) version: i64,
    /// Who owns what the document describes: a label of your own, as `team-a`. Documents of another owner can't change or
    /// delete it.
    #[oai(
        nullable,
        validator(max_length = 64, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")
    )]
    pub(crate) owner: Option<String>,
    /// Providers of models, by `name`.
    #[oai(default, validator(max_items = 10000))]
    pub(crate) providers: Vec<DocumentEntry<provider::Entity>>,
    /// Models, by `provider` and `model_name`.
    #[oai(default, validator(max_items = 10000))]
    pub(crate) models: Vec<DocumentEntry<model::Entity>>,
    /// MCP servers, by `name`.
    #[oai(default, validator(max_items = 10000))]
    pub(crate) mcp_servers: Vec<DocumentEntry<mcp_server::Entity>>,
    /// Agents, by `external_id` or, if they have none, by `name`.
    #[oai(default, validator(max_items = 10000))]
    pub(crate) agents: Vec<DocumentEntry<agent::Entity>>,
    /// Circles, by `name`, each with all its members.
    #[oai(default, validator(max_items = 10000))]
    pub(crate) circles: Vec<DocumentEntry<circle::Entity>>,
}

/// Documents that are planned and applied together.
#[derive(Clone, Debug, Object)]
pub(crate) struct DocumentSet {
    /// The documents. They may refer to each other, and to what exists already.
    #[oai(validator(min_items = 1, max_items = 1000))]
    pub(crate) documents: Vec<RegistryDocument>,
}

impl DocumentSet {
    /// How many resources and members the documents describe.
    pub(super) fn entries(&self) -> usize {
        let members = |circle: &DocumentEntry<circle::Entity>| {
            let members = circle.fields.get("members");
            members.and_then(Value::as_array).map_or(0, Vec::len)
        };
        let entries = |document: &RegistryDocument| {
            document.providers.len()
                + document.models.len()
                + document.mcp_servers.len()
                + document.agents.len()
                + document.circles.len()
                + document.circles.iter().map(members).sum::<usize>()
        };
        self.documents.iter().map(entries).sum()
    }
}

/// The kind of a resource that documents describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub(crate) enum DocumentResource {
    /// A provider.
    Provider,
    /// A model.
    Model,
    /// An MCP server.
    McpServer,
    /// An agent.
    Agent,
    /// A circle, with its members.
    Circle,
}

impl DocumentResource {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Model => "model",
            Self::McpServer => "MCP server",
            Self::Agent => "agent",
            Self::Circle => "circle",
        }
    }

    pub(super) fn of(resource: Resource) -> Self {
        match resource {
            Resource::Provider => Self::Provider,
            Resource::Model => Self::Model,
            Resource::McpServer => Self::McpServer,
            Resource::Agent => Self::Agent,
            _ => Self::Circle,
        }
    }
}

/// What applying documents does to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub(crate) enum PlannedAction {
    /// It does not exist.
    Create,
    /// It exists, and is not as the document says.
    Update,
    /// Its owner's documents no longer describe it.
    Delete,
}

/// What applying documents does to one resource.
#[derive(Clone, Debug, Object, Serialize)]
pub(crate) struct PlannedChange {
    /// The kind of the resource.
    pub(crate) resource: DocumentResource,
    /// What documents call it.
    pub(crate) name: String,
    /// What is done.
    pub(crate) action: PlannedAction,
    /// The fields that change; only with `update`. A member is `members[agent]`, and `owner` is who owns the resource.
    pub(crate) fields: Vec<FieldChange>,
}

/// A resource of the documents' owner that none of the documents describes.
#[derive(Clone, Debug, PartialEq, Eq, Object, Serialize)]
pub(crate) struct NotDescribed {
    /// The kind of the resource.
    pub(crate) resource: DocumentResource,
    /// What documents call it.
    pub(crate) name: String,
}

/// A deletion that fails, because something that the documents don't describe uses what would be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Object, Serialize)]
pub(crate) struct BlockedDeletion {
    /// The kind of what would be deleted.
    pub(crate) resource: DocumentResource,
    /// What documents call it.
    pub(crate) name: String,
    /// The name of an agent that uses the model or MCP server, or of a model of the provider.
    pub(crate) used_by: String,
    /// How many agents or models use it.
    pub(crate) users: i64,
}

/// What applying documents does.
#[derive(Clone, Debug, Object, Serialize)]
pub(crate) struct DocumentPlan {
    /// Identifies what would be done. It changes with the documents and with what exists.
    pub(crate) digest: String,
    /// Whether there is anything to do.
    pub(crate) has_changes: bool,
    /// What is done, in this order.
    pub(crate) changes: Vec<PlannedChange>,
    /// How many resources are as the documents say.
    pub(crate) unchanged: i64,
    /// What the documents' owners have and no document describes. It stays, unless `prune` is set.
    pub(crate) not_described: Vec<NotDescribed>,
    /// Deletions that fail. Nothing is applied while there are any.
    pub(crate) blocked_deletions: Vec<BlockedDeletion>,
}
