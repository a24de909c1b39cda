//! What an audit entry looks like on the wire.

use chrono::{DateTime, Utc};
use entity::{audit_entry, values::StringList};
use poem_openapi::{Enum, Object};
use sea_orm::Order;
use serde::Serialize;

/// One change of one thing. Entries are never changed or deleted.
#[derive(Debug, Object, Serialize)]
pub(crate) struct AuditEntry {
    /// Assigned by the service.
    pub(crate) id: i64,
    /// When the change was made (UTC).
    pub(crate) at: DateTime<Utc>,
    /// The API key that it was made with; null where no key was needed, and on the command line.
    #[oai(nullable)]
    pub(crate) key_id: Option<i64>,
    /// What was done: `create`, `update`, `delete`, `restore`, `start`, `stop`, `revoke` or
    /// `import`. Others may come. Members are created, deleted and restored where they are added, removed and added
    /// again.
    pub(crate) action: String,
    /// What kind of thing it was done with: `provider`, `model`, `agent`, `circle`, `member`,
    /// `conversation`, `participant`, `message`, `key` or, for an import of many providers and
    /// models, `catalog`. Others may come.
    pub(crate) resource: String,
    /// The id of the thing; null for an import.
    #[oai(nullable)]
    pub(crate) resource_id: Option<i64>,
    /// What it was called then: the name of a provider, model, agent, circle or key; for a member
    /// `CIRCLE/AGENT_ID`, for a participant `CONVERSATION_ID/AGENT_ID`, for a message
    /// `CONVERSATION_ID/NUMBER`; null for a conversation and for an import.
    #[oai(nullable)]
    pub(crate) name: Option<String>,
    /// The fields that were set, where the action sets any; never their values. For an import,
    /// `providers` and `models`, whichever it changed.
    pub(crate) fields: StringList,
    /// The revision of the thing afterwards, which is the second number of its ETag; null where it
    /// has none any more, or never had one.
    #[oai(nullable)]
    pub(crate) revision: Option<i64>,
    /// The `X-Request-Id` of the request; null on the command line.
    #[oai(nullable)]
    pub(crate) request_id: Option<String>,
}

impl From<audit_entry::Model> for AuditEntry {
    fn from(row: audit_entry::Model) -> Self {
        let audit_entry::Model {
            id,
            at,
            key_id,
            action,
            resource,
            resource_id,
            name,
            fields,
            revision,
            request_id,
        } = row;
        Self {
            id,
            at,
            key_id,
            action,
            resource,
            resource_id,
            name,
            fields,
            revision,
            request_id,
        }
    }
}

/// From which end a list is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum AuditOrder {
    /// The oldest first.
    Asc,
    /// The newest first.
    #[default]
    Desc,
}

impl From<AuditOrder> for Order {
    fn from(order: AuditOrder) -> Self {
        match order {
            AuditOrder::Asc => Self::Asc,
            AuditOrder::Desc => Self::Desc,
        }
    }
}
