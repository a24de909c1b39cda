//! Deletions and restores, and documents.

use serde_json::json;

use super::{CANARY, MEMBERS, Step, step};

pub(super) fn in_the_end() -> Vec<Step> {
    vec![
        step(
            "add_member",
            MEMBERS,
            json!({"agent_id": 1}),
            &["restore member team/1 - +"],
        ),
        step(
            "delete_agent",
            "/v1/agents/1",
            None,
            &["delete agent Ada - +", "delete member team/1 - +"],
        ),
        step(
            "restore_agent",
            "/v1/agents/1/restore",
            None,
            &["restore agent Ada - +"],
        ),
        step(
            "delete_circle",
            "/v1/circles/team",
            None,
            &["delete circle team status +"],
        ),
        step(
            "restore_circle",
            "/v1/circles/team/restore",
            None,
            &["restore circle team - +"],
        ),
        step(
            "create_model",
            "/v1/models",
            json!({"provider_id": 1, "model_name": "m3"}),
            &["create model m3 - +"],
        ),
        step(
            "repoint_model",
            "/v1/models/1/repoint",
            json!({"to": 2}),
            &["update agent Ada model_id +"],
        )
        .refused_with(json!({"to": 99})),
        step(
            "update_agent",
            "/v1/agents/1",
            json!({"model_id": null}),
            &["update agent Ada model_id +"],
        )
        .refused_with(json!({"model_id": 99})),
        step(
            "delete_model",
            "/v1/models/1",
            None,
            &["delete model m - -"],
        ),
        step(
            "create_model",
            "/v1/models",
            json!({"provider_id": 1, "model_name": "m2"}),
            &["create model m2 - +"],
        ),
        step(
            "create_mcp_server",
            "/v1/mcp-servers",
            json!({"name": "s", "transport": "stdio", "command": CANARY}),
            &["create mcp_server s - +"],
        ),
        step(
            "update_mcp_server",
            "/v1/mcp-servers/1",
            json!({"name": "s2", "args": [CANARY]}),
            &["update mcp_server s2 name,args +"],
        )
        .refused_at("/v1/mcp-servers/99"),
        step(
            "delete_mcp_server",
            "/v1/mcp-servers/1",
            None,
            &["delete mcp_server s2 - -"],
        ),
        documents(),
        step(
            "delete_provider",
            "/v1/providers/1?cascade=true",
            None,
            &[
                "delete model m3 - -",
                "delete model m2 - -",
                "delete provider p - -",
            ],
        ),
    ]
}
fn documents() -> Step {
    step(
        "apply_documents",
        "/v1/documents/apply",
        json!({"documents": [{"kind": "CircleRegistry", "version": 1,
            "agents": [{"name": "Doc", "system_prompt": CANARY}],
            "circles": [{"name": "docs", "description": CANARY}]}]}),
        &["create agent Doc - +", "create circle docs - +"],
    )
    .refused_with(json!({"documents": []}))
}
