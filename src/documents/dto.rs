//! Documents on the wire.

use entity::{agent, circle, mcp_server, model, provider};
use poem_openapi::{Enum, Object};

use super::entry::DocumentEntry;

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
