//! What versions look like on the wire.

use entity::agent_version;
use poem_openapi::Object;
use serde::Serialize;

use crate::{
    diff::FieldChange,
    rows::{Json, Text, Timestamp, row},
    versions::AgentDefinition,
};

row! {
    /// A version of an agent, in a list.
    #[derive(Debug, Object, Serialize)]
    #[oai(rename = "AgentVersionEntry")]
    pub(super) struct AgentVersionEntryRow<'r> {
        /// The number of the version: from 1, without gaps.
        pub(super) number: i64 = agent_version::Number,
        /// The agent's id.
        pub(super) agent_id: i64 = agent_version::AgentId,
        /// The SHA-256 of the definition's canonical form (RFC 8785), in hexadecimal digits. Integers beyond 2^53 are taken
        /// for strings of their digits.
        pub(super) digest: Text<'r> = agent_version::Digest,
        /// Why the change was made, as the request said.
        #[oai(nullable)]
        pub(super) message: Option<Text<'r>> = agent_version::Message,
        /// The API key that made the change; null without keys, and for version 1 of an agent that is older than versions.
        #[oai(nullable)]
        pub(super) key_id: Option<i64> = agent_version::KeyId,
        /// When the change was made (UTC).
        pub(super) created_at: Timestamp<'r> = agent_version::CreatedAt,
    }
}

row! {
    /// A version of an agent: what a runtime built the agent from, once. It never changes.
    #[derive(Debug, Object, Serialize)]
    #[oai(rename = "AgentVersion")]
    pub(super) struct AgentVersionRow<'r> {
        /// The number of the version: from 1, without gaps.
        pub(super) number: i64 = agent_version::Number,
        /// The agent's id.
        pub(super) agent_id: i64 = agent_version::AgentId,
        /// The SHA-256 of the definition's canonical form (RFC 8785), in hexadecimal digits. Integers beyond 2^53 are taken
        /// for strings of their digits.
        pub(super) digest: Text<'r> = agent_version::Digest,
        /// Why the change was made, as the request said.
        #[oai(nullable)]
        pub(super) message: Option<Text<'r>> = agent_version::Message,
        /// The API key that made the change; null without keys, and for version 1 of an agent that is older than versions.
        #[oai(nullable)]
        pub(super) key_id: Option<i64> = agent_version::KeyId,
        /// When the change was made (UTC).
        pub(super) created_at: Timestamp<'r> = agent_version::CreatedAt,
        /// The agent as the change left it.
        pub(super) definition: Json<'r, AgentDefinition> = agent_version::Definition,
    }
}

/// A row that owns its values.
pub(super) type AgentVersionEntry = AgentVersionEntryRow<'static>;

/// A row that owns its values.
pub(super) type AgentVersion = AgentVersionRow<'static>;

/// What differs between two versions of an agent.
#[derive(Debug, Object, Serialize)]
pub(super) struct AgentVersionDiff {
    /// The agent's id.
    pub(super) agent_id: i64,
    /// The version that is compared.
    pub(super) number: i64,
    /// The version that it is compared with; null if it is version 1, before which there was nothing.
    #[oai(nullable)]
    pub(super) against: Option<i64>,
    /// The fields that differ.
    pub(super) changes: Vec<FieldChange>,
}
