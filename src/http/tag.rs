//! The tags by which the description groups operations.

use poem_openapi::Tags;

/// One tag a resource.
#[derive(Tags)]
pub(crate) enum Tag {
    /// Who serves models, over which wire protocol.
    Providers,
    /// What a provider's API can be asked to run, and what it costs.
    Models,
    /// A prompt, skills and a model under one name.
    Agents,
    /// Teams of agents, and the roster that a runtime builds a team from.
    Circles,
    /// Which agent is in which circle, and in which role.
    Members,
    /// What a runtime starts an agent from, resolved; and what is wrong with a circle.
    Handles,
    /// Agents talking about a topic, turn by turn.
    Conversations,
    /// What is said in conversations.
    Messages,
    /// Who changed what, and when.
    Audit,
    /// Who may ask, for what, and until when.
    Keys,
    /// Probes and figures for operators.
    Operations,
}
