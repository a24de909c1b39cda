//! The tags that group operations in the description.

use poem_openapi::Tags;

/// One tag for each resource.
#[derive(Tags)]
pub(crate) enum Tag {
    /// Services that host models, and the wire protocol they speak.
    Providers,
    /// Models that a provider offers, and their prices.
    Models,
    /// Servers of the Model Context Protocol, from which agents get tools.
    #[oai(rename = "MCP servers")]
    McpServers,
    /// A prompt, tools and a model under one name.
    Agents,
    /// Teams of agents, and the roster from which a runtime builds a team.
    Circles,
    /// The agents of a circle, and their roles in it.
    Members,
    /// Resolved settings from which a runtime starts an agent, and a lint of circles.
    Handles,
    /// Circles as they were published, the labels that point to them, and what has changed since.
    Releases,
    /// Circles as code: documents that describe parts of the registry by name, planned and applied as a whole.
    Documents,
    /// Agents that discuss a topic, turn by turn.
    Conversations,
    /// The messages of a conversation.
    Messages,
    /// The feed of changes: what was changed, in an order that never changes.
    Changes,
    /// Receivers that are told of changes by HTTP.
    Webhooks,
    /// The log of changes: who changed what, and when.
    Audit,
    /// API keys, their scopes and their expiry.
    Keys,
    /// Health checks and statistics for operators.
    Operations,
}
