//! Who may call each operation, in one table. The description is finished from it, requests are
//! checked against it, and the service does not start if an operation is missing.

use entity::values::Scope;

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anyone.
    Public,
    /// The owner of a key with this scope, or with one that includes it.
    Scope(Scope),
    /// The owner of any key.
    AnyKey,
    /// The owner of a key with `read`. Served while the service starts and while the database is down, to anyone
    /// if it is not known then whether keys exist.
    Statistics,
}

impl Access {
    /// The scope that a key must have.
    pub(crate) fn scope(self) -> Option<Scope> {
        match self {
            Self::Public | Self::AnyKey => None,
            Self::Scope(scope) => Some(scope),
            Self::Statistics => Some(Scope::Read),
        }
    }
}

const PUBLIC: Access = Access::Public;
const READ: Access = Access::Scope(Scope::Read);
const WRITE: Access = Access::Scope(Scope::Write);
const ADMIN: Access = Access::Scope(Scope::Admin);
const HANDLES: Access = Access::Scope(Scope::Handles);
const ANY_KEY: Access = Access::AnyKey;

/// Changes of protected labels, and of what is protected, also take `publish`: they ask the `Actor`.
///
/// Changing the catalogue takes `admin`: a base URL decides who gets the prompts, and the provider's
/// key, of every agent behind it.
const OPERATIONS: &[(&str, Access)] = &[
    ("export_document", READ),
    ("plan_documents", READ),
    // Changes of the catalogue also take `admin`: they ask the `Actor`.
    ("apply_documents", WRITE),
    ("list_circles", READ),
    ("create_circle", WRITE),
    ("get_circle", READ),
    ("update_circle", WRITE),
    ("delete_circle", WRITE),
    ("restore_circle", WRITE),
    ("start_circle", WRITE),
    ("stop_circle", WRITE),
    ("list_members", READ),
    ("add_member", WRITE),
    ("replace_members", WRITE),
    ("batch_members", WRITE),
    ("get_member", READ),
    ("update_member", WRITE),
    ("remove_member", WRITE),
    ("list_handle_circles", HANDLES),
    ("get_circle_handles", HANDLES),
    ("get_agent_handle", HANDLES),
    ("lint_circle", READ),
    ("list_releases", READ),
    ("create_release", WRITE),
    ("get_release", READ),
    ("delete_release", WRITE),
    ("get_release_handles", HANDLES),
    ("diff_release", READ),
    ("list_labels", READ),
    ("get_label", READ),
    ("replace_label", WRITE),
    ("delete_label", WRITE),
    ("list_label_moves", READ),
    ("list_agents", READ),
    ("create_agent", WRITE),
    ("replace_agent", WRITE),
    ("get_agent", READ),
    ("update_agent", WRITE),
    ("delete_agent", WRITE),
    ("restore_agent", WRITE),
    ("list_agent_versions", READ),
    ("get_agent_version", READ),
    ("diff_agent_version", READ),
    ("restore_agent_version", WRITE),
    ("list_agent_circles", READ),
    ("list_models", READ),
    ("create_model", ADMIN),
    ("get_model", READ),
    ("get_model_cost", READ),
    ("list_model_retirements", READ),
    ("repoint_model", WRITE),
    ("update_model", ADMIN),
    ("delete_model", ADMIN),
    ("list_model_agents", READ),
    ("list_mcp_servers", READ),
    ("create_mcp_server", ADMIN),
    ("get_mcp_server", READ),
    ("update_mcp_server", ADMIN),
    ("delete_mcp_server", ADMIN),
    ("list_mcp_server_agents", READ),
    ("list_providers", READ),
    ("create_provider", ADMIN),
    ("get_provider", READ),
    ("update_provider", ADMIN),
    ("delete_provider", ADMIN),
    ("list_provider_models", READ),
    ("list_conversations", READ),
    ("create_conversation", WRITE),
    ("get_conversation", READ),
    ("update_conversation", WRITE),
    ("delete_conversation", WRITE),
    ("list_participants", READ),
    ("add_participant", WRITE),
    ("remove_participant", WRITE),
    ("list_messages", READ),
    ("create_message", WRITE),
    ("get_message", READ),
    ("get_transcript", READ),
    ("list_changes", READ),
    ("stream_events", READ),
    ("list_audit_entries", ADMIN),
    ("list_keys", ADMIN),
    ("create_key", ADMIN),
    ("get_own_key", ANY_KEY),
    ("get_key", ADMIN),
    ("revoke_key", ADMIN),
    ("get_liveness", PUBLIC),
    ("get_readiness", PUBLIC),
    ("get_pool", Access::Statistics),
    ("get_cache", Access::Statistics),
    ("get_metrics", Access::Statistics),
];

/// Who may call an operation; `None` if the table lacks it.
pub(crate) fn access_to(operation_id: &str) -> Option<Access> {
    let found = OPERATIONS.iter().find(|(id, _)| *id == operation_id);
    found.map(|(_, access)| *access)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn every_operation_has_its_access_declared_once_and_no_other_has() {
        let description: Value =
            serde_json::from_str(&crate::routes::description()).expect("a description");
        let paths = description["paths"].as_object().expect("paths");
        let described: BTreeSet<&str> = paths
            .values()
            .flat_map(|item| item.as_object().expect("an item").values())
            .map(|operation| operation["operationId"].as_str().expect("an id"))
            .collect();
        let declared: BTreeSet<&str> = OPERATIONS.iter().map(|(id, _)| *id).collect();
        assert_eq!(declared, described);
        assert_eq!(declared.len(), OPERATIONS.len(), "one is there twice");
    }
}
