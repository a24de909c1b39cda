//! What an audit entry looks like on the wire.

use entity::{audit_entry, values::StringList};
use poem_openapi::{Enum, Object};
use sea_orm::Order;
use serde::Serialize;

use crate::rows::{Json, Text, Timestamp, row};

row! {
    /// One change of one resource. Entries are never changed or deleted.
    #[derive(Debug, Object, Serialize)]
    #[oai(rename = "AuditEntry")]
    pub(crate) struct AuditEntryRow<'r> of audit_entry without circle_id {
        /// Assigned by the service.
        pub(crate) id: i64,
        /// When the change was made (UTC).
        pub(crate) at: Timestamp<'r>,
        /// The API key that made the change; null without keys, and on the command line.
        #[oai(nullable)]
        pub(crate) key_id: Option<i64>,
        /// The action: `create`, `update`, `delete`, `restore`, `start`, `stop`, `revoke` or `import`. More actions may
        /// be added. Adding a member is `create`, removing it `delete`, and adding it again `restore`.
        pub(crate) action: Text<'r>,
        /// The kind of resource: `provider`, `model`, `mcp_server`, `agent`, `circle`, `member`, `release`, `label`,
        /// `conversation`, `participant`, `message`, `key`, `webhook` or, for an import of many providers and models, `catalog`. More kinds may be added.
        pub(crate) resource: Text<'r>,
        /// The id of the resource; null for a release and for an import.
        #[oai(nullable)]
        pub(crate) resource_id: Option<i64>,
        /// The resource's name at that time: the name of a provider, model, MCP server, agent, circle, key or webhook; for a member
        /// `CIRCLE/AGENT_ID`, for a release `CIRCLE/NUMBER`, for a label `CIRCLE/LABEL`, for a participant `CONVERSATION_ID/AGENT_ID`, for a message
        /// `CONVERSATION_ID/NUMBER`; null for a conversation and for an import.
        #[oai(nullable)]
        pub(crate) name: Option<Text<'r>>,
        /// Names of the fields that were set, without their values. For an import `providers`, `models` or both.
        pub(crate) fields: Json<'r, StringList>,
        /// The resource's revision after the change, which is the second number of its ETag; null if the resource has
        /// no revision, or no longer exists.
        #[oai(nullable)]
        pub(crate) revision: Option<i64>,
        /// The `X-Request-Id` of the request; null on the command line.
        #[oai(nullable)]
        pub(crate) request_id: Option<Text<'r>>,
        /// The address that the request came from: the peer's or, behind proxies that `--trusted-proxy` lists, the
        /// client's; null on the command line, and for changes by builds that did not record it.
        #[oai(nullable)]
        pub(crate) client_address: Option<Text<'r>>,
    }
}

/// A row that owns its values.
pub(crate) type AuditEntry = AuditEntryRow<'static>;

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum AuditOrder {
    /// Oldest first.
    Asc,
    /// Newest first.
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
