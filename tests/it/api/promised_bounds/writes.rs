//! The worst request for each operation that writes, in an order in which each finds what it needs.

use reqwest::Method;
use serde_json::json;

use super::{
    WorstRequest,
    bodies::{
        agent, batch, batch_of_updates, circle, conversation, documents, labels, long_prompt,
        mcp_server, members, message, model, provider, webhook, wide_json, wide_text,
    },
};

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn writes() -> Vec<WorstRequest> {
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    const PATCH: Method = Method::PATCH;
    const DELETE: Method = Method::DELETE;
    vec![
        ("create_webhook", POST, "/v1/webhooks", Some(webhook())),
        (
            "list_webhooks",
            GET,
            "/v1/webhooks?limit=200&count=true",
            None,
        ),
        ("get_webhook", GET, "/v1/webhooks/1", None),
        (
            "update_webhook",
            PATCH,
            "/v1/webhooks/1",
            Some(json!({"description": wide_text(4900)})),
        ),
        ("rotate_webhook_secret", POST, "/v1/webhooks/1/secret", None),
        ("resume_webhook", POST, "/v1/webhooks/1/resume", None),
        ("test_webhook", POST, "/v1/webhooks/1/test", None),
        (
            "list_webhook_attempts",
            GET,
            "/v1/webhooks/1/attempts?limit=200&count=true",
            None,
        ),
        (
            "list_handle_circles",
            GET,
            "/v1/handles/circles?limit=200&count=true",
            None,
        ),
        (
            "create_key",
            POST,
            "/v1/keys",
            Some(json!({"name": wide_text(200), "scopes": ["handles"]})),
        ),
        (
            "create_provider",
            POST,
            "/v1/providers",
            Some(provider("last")),
        ),
        (
            "update_provider",
            PATCH,
            "/v1/providers/1",
            Some(json!({"config": wide_json()})),
        ),
        ("create_model", POST, "/v1/models", Some(model("last"))),
        (
            "update_model",
            PATCH,
            "/v1/models/1",
            Some(json!({"model_alias": wide_text(255)})),
        ),
        (
            "list_mcp_servers",
            GET,
            "/v1/mcp-servers?limit=200&count=true&sort=-name",
            None,
        ),
        (
            "create_release",
            POST,
            "/v1/circles/full/releases",
            Some(json!({})),
        ),
        (
            "create_release",
            POST,
            "/v1/circles/released/releases",
            Some(json!({"message": wide_text(2000), "labels": labels()})),
        ),
        ("get_release", GET, "/v1/circles/released/releases/1", None),
        (
            "get_release_handles",
            GET,
            "/v1/circles/released/releases/1/handles",
            None,
        ),
        (
            "get_circle_handles",
            GET,
            "/v1/circles/released/handles?label=label-1",
            None,
        ),
        (
            "diff_release",
            GET,
            "/v1/circles/released/releases/1/diff",
            None,
        ),
        (
            "diff_release",
            GET,
            "/v1/circles/released/releases/1/diff?against=live",
            None,
        ),
        (
            "list_releases",
            GET,
            "/v1/circles/released/releases?limit=200&count=true",
            None,
        ),
        (
            "replace_label",
            Method::PUT,
            "/v1/circles/released/labels/label-99",
            Some(json!({"release": 1})),
        ),
        (
            "get_label",
            GET,
            "/v1/circles/released/labels/label-99",
            None,
        ),
        (
            "list_labels",
            GET,
            "/v1/circles/released/labels?limit=200&count=true",
            None,
        ),
        (
            "delete_label",
            DELETE,
            "/v1/circles/released/labels/label-99",
            None,
        ),
        (
            "list_label_moves",
            GET,
            "/v1/circles/released/labels/label-99/history?limit=200&count=true",
            None,
        ),
        (
            "create_release",
            POST,
            "/v1/circles/none/releases",
            Some(json!({})),
        ),
        (
            "delete_release",
            DELETE,
            "/v1/circles/none/releases/1",
            None,
        ),
        ("get_mcp_server", GET, "/v1/mcp-servers/1", None),
        (
            "list_mcp_server_agents",
            GET,
            "/v1/mcp-servers/1/agents?limit=200&count=true",
            None,
        ),
        (
            "create_mcp_server",
            POST,
            "/v1/mcp-servers",
            Some(mcp_server("last")),
        ),
        (
            "update_mcp_server",
            PATCH,
            "/v1/mcp-servers/1",
            Some(json!({"name": "renamed"})),
        ),
        (
            "update_mcp_server",
            PATCH,
            "/v1/mcp-servers/1",
            Some(json!({"name": "server-0"})),
        ),
        ("create_agent", POST, "/v1/agents", Some(agent())),
        ("update_agent", PATCH, "/v1/agents/1", Some(agent())),
        (
            "restore_agent_version",
            POST,
            "/v1/agents/201/versions/1/restore",
            None,
        ),
        (
            "replace_agent",
            Method::PUT,
            "/v1/agents/by-external-id/last",
            Some(agent()),
        ),
        (
            "plan_documents",
            POST,
            "/v1/documents/plan",
            Some(documents()),
        ),
        (
            "apply_documents",
            POST,
            "/v1/documents/apply",
            Some(documents()),
        ),
        (
            "export_document",
            GET,
            "/v1/documents/export?circles=described",
            None,
        ),
        ("create_circle", POST, "/v1/circles", Some(circle("last"))),
        (
            "update_circle",
            PATCH,
            "/v1/circles/full",
            Some(json!({"settings": wide_json()})),
        ),
        ("start_circle", POST, "/v1/circles/full/start", None),
        ("stop_circle", POST, "/v1/circles/full/stop", None),
        (
            "add_member",
            POST,
            "/v1/circles/last/members",
            Some(json!({"agent_id": 1, "permissions": wide_json()})),
        ),
        (
            "update_member",
            PATCH,
            "/v1/circles/full/members/1",
            Some(json!({"permissions": wide_json()})),
        ),
        (
            "batch_members",
            POST,
            "/v1/circles/last/members:batch?partial=true",
            Some(batch()),
        ),
        (
            "batch_members",
            POST,
            "/v1/circles/large/members:batch?partial=true",
            Some(batch_of_updates()),
        ),
        (
            "replace_members",
            Method::PUT,
            "/v1/circles/last/members",
            Some(json!({"members": members()})),
        ),
        (
            "create_conversation",
            POST,
            "/v1/conversations",
            Some(conversation()),
        ),
        (
            "update_conversation",
            PATCH,
            "/v1/conversations/1",
            Some(json!({"summary": long_prompt()})),
        ),
        (
            "create_message",
            POST,
            "/v1/conversations/1/messages",
            Some(message()),
        ),
        (
            "remove_participant",
            DELETE,
            "/v1/conversations/1/participants/1",
            None,
        ),
        (
            "add_participant",
            POST,
            "/v1/conversations/1/participants",
            Some(json!({"agent_id": 1})),
        ),
        ("delete_conversation", DELETE, "/v1/conversations/1", None),
        ("remove_member", DELETE, "/v1/circles/full/members/1", None),
        ("delete_circle", DELETE, "/v1/circles/large", None),
        ("restore_circle", POST, "/v1/circles/large/restore", None),
        (
            "replace_members",
            Method::PUT,
            "/v1/circles/large/members",
            Some(json!({"members": []})),
        ),
        ("delete_agent", DELETE, "/v1/agents/1", None),
        ("restore_agent", POST, "/v1/agents/1/restore", None),
        ("delete_mcp_server", DELETE, "/v1/mcp-servers/3", None),
        ("delete_model", DELETE, "/v1/models/10", None),
        (
            "delete_provider",
            DELETE,
            "/v1/providers/2?cascade=true",
            None,
        ),
        ("delete_webhook", DELETE, "/v1/webhooks/2", None),
        ("revoke_key", DELETE, "/v1/keys/2", None),
    ]
}
