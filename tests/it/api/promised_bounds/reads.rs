//! The worst request for each operation that reads.

use reqwest::Method;
use serde_json::json;

use super::WorstRequest;

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn reads() -> Vec<WorstRequest> {
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    vec![
        ("get_liveness", GET, "/livez", None),
        ("get_readiness", GET, "/readyz", None),
        ("get_pool", GET, "/v1/pool", None),
        ("get_cache", GET, "/v1/cache", None),
        ("get_metrics", GET, "/metrics", None),
        (
            "list_circles",
            GET,
            "/v1/circles?include=members&limit=200&count=true&sort=-name&q=%C3%A9",
            None,
        ),
        (
            "get_circle",
            GET,
            "/v1/circles/full?include_inactive=true",
            None,
        ),
        ("get_circle", GET, "/v1/circles/large", None),
        (
            "list_members",
            GET,
            "/v1/circles/large/members?limit=200&include_inactive=true&count=true",
            None,
        ),
        ("get_member", GET, "/v1/circles/large/members/1", None),
        (
            "list_agent_circles",
            GET,
            "/v1/agents/1/circles?limit=200&count=true",
            None,
        ),
        ("get_circle_handles", GET, "/v1/circles/full/handles", None),
        ("get_circle_handles", GET, "/v1/circles/large/handles", None),
        (
            "export_circle",
            GET,
            "/v1/circles/full/export?format=docker-agent",
            None,
        ),
        (
            "export_circle",
            GET,
            "/v1/circles/large/export?format=claude",
            None,
        ),
        (
            "export_circle",
            GET,
            "/v1/circles/large/export?format=document",
            None,
        ),
        ("lint_circle", GET, "/v1/circles/full/lint", None),
        ("get_agent_handle", GET, "/v1/agents/1/handle", None),
        (
            "list_agents",
            GET,
            "/v1/agents?limit=200&include=model&count=true&sort=-name&q=%C3%A9",
            None,
        ),
        ("get_agent", GET, "/v1/agents/1", None),
        (
            "get_agent_handle",
            GET,
            "/v1/agents/1/handle?version=1",
            None,
        ),
        (
            "list_agent_versions",
            GET,
            "/v1/agents/201/versions?limit=200&count=true",
            None,
        ),
        ("get_agent_version", GET, "/v1/agents/1/versions/1", None),
        (
            "diff_agent_version",
            GET,
            "/v1/agents/1/versions/1/diff",
            None,
        ),
        (
            "diff_agent_version",
            GET,
            "/v1/agents/201/versions/2/diff",
            None,
        ),
        (
            "list_model_agents",
            GET,
            "/v1/models/1/agents?limit=200&count=true",
            None,
        ),
        (
            "list_models",
            GET,
            "/v1/models?limit=200&include=provider&count=true",
            None,
        ),
        ("get_model", GET, "/v1/models/1", None),
        ("get_model_cost", POST, "/v1/models/1/cost", Some(json!({}))),
        (
            "list_model_retirements",
            GET,
            "/v1/models/retirements?limit=200&count=true&within=P99999D",
            None,
        ),
        (
            "repoint_model",
            POST,
            "/v1/models/1/repoint",
            Some(json!({"to": 3})),
        ),
        (
            "repoint_model",
            POST,
            "/v1/models/3/repoint",
            Some(json!({"to": 1})),
        ),
        (
            "list_provider_models",
            GET,
            "/v1/providers/1/models?limit=200&count=true",
            None,
        ),
        (
            "list_providers",
            GET,
            "/v1/providers?limit=200&count=true&sort=-name",
            None,
        ),
        ("get_provider", GET, "/v1/providers/1", None),
        (
            "list_conversations",
            GET,
            "/v1/conversations?limit=200&include=participants,last_message&count=true",
            None,
        ),
        ("get_conversation", GET, "/v1/conversations/1", None),
        (
            "list_participants",
            GET,
            "/v1/conversations/1/participants",
            None,
        ),
        (
            "list_messages",
            GET,
            "/v1/conversations/1/messages?limit=200&order=desc&count=true",
            None,
        ),
        ("get_message", GET, "/v1/conversations/1/messages/1", None),
        (
            "get_transcript",
            GET,
            "/v1/conversations/1/transcript?format=markdown",
            None,
        ),
        ("list_changes", GET, "/v1/changes?limit=200", None),
        (
            "list_changes",
            GET,
            "/v1/changes?limit=200&resource=message&circle_id=1",
            None,
        ),
        (
            "stream_events",
            GET,
            "/v1/events?resource=message&circle_id=1",
            None,
        ),
        (
            "list_audit_entries",
            GET,
            "/v1/audit?limit=200&count=true",
            None,
        ),
        ("list_keys", GET, "/v1/keys?limit=200&count=true", None),
        ("get_key", GET, "/v1/keys/1", None),
        ("get_own_key", GET, "/v1/keys/self", None),
    ]
}
