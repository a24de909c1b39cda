//! Answers beside the description: each status, header and media type is declared.

use serde_json::json;

use test_support::{TestApp, on_both};

use super::openapi::{committed, conforms, operations, resolved};

#[tokio::test]
async fn what_is_answered_is_what_is_declared() {
    on_both(async |app| {
        fill(app).await;
        let description = committed();
        for (operation, path, status) in [
            ("list_providers", "/v1/providers?count=true", 200),
            ("get_provider", "/v1/providers/1", 200),
            ("list_models", "/v1/models", 200),
            ("list_models", "/v1/models?include=provider", 200),
            ("get_model", "/v1/models/1", 200),
            ("list_model_agents", "/v1/models/1/agents", 200),
            ("list_provider_models", "/v1/providers/1/models", 200),
            ("list_agents", "/v1/agents", 200),
            ("list_agents", "/v1/agents?include=model", 200),
            ("get_agent", "/v1/agents/1", 200),
            ("list_agent_circles", "/v1/agents/1/circles", 200),
            ("list_circles", "/v1/circles?include=members", 200),
            ("get_circle", "/v1/circles/team", 200),
            ("list_members", "/v1/circles/team/members", 200),
            ("get_member", "/v1/circles/team/members/1", 200),
            ("get_circle_handles", "/v1/circles/team/handles", 200),
            ("get_agent_handle", "/v1/agents/2/handle", 200),
            ("lint_circle", "/v1/circles/team/lint", 200),
            (
                "export_circle",
                "/v1/circles/team/export?format=claude",
                200,
            ),
            (
                "list_conversations",
                "/v1/conversations?include=participants,last_message",
                200,
            ),
            ("get_conversation", "/v1/conversations/1", 200),
            ("list_participants", "/v1/conversations/1/participants", 200),
            ("list_messages", "/v1/conversations/1/messages", 200),
            ("get_message", "/v1/conversations/1/messages/1", 200),
            ("get_liveness", "/livez", 200),
            ("get_readiness", "/readyz", 200),
            ("get_pool", "/v1/pool", 200),
            ("get_circle", "/v1/circles/none", 404),
            ("list_circles", "/v1/circles?limit=x", 422),
        ] {
            let all = operations(&description);
            let (_, declared) = all
                .iter()
                .find(|(_, declared)| declared["operationId"] == operation)
                .expect(operation);
            let responses = declared["responses"].as_object().expect("responses");
            let response = resolved(&description, &responses[&status.to_string()]);
            let content = response["content"].as_object().expect("content");
            let (media_type, content) = content.iter().next().expect("a media type");
            let answer = app.get(path).await;
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (status, media_type.as_str())
            );
            conforms(&description, &content["schema"], &answer.body, operation);
        }
    })
    .await;
}

/// Creates two rows of every resource: one with all fields, and one with as few as possible.
async fn fill(app: &TestApp) {
    let description = committed();
    for (schema, path, least) in [
        (
            "ProviderCreate",
            "/v1/providers",
            json!({"name": "least", "api_type": "x"}),
        ),
        (
            "ModelCreate",
            "/v1/models",
            json!({"provider_id": 1, "model_name": "least"}),
        ),
        (
            "McpServerCreate",
            "/v1/mcp-servers",
            json!({"name": "least", "transport": "stdio", "command": "mcp"}),
        ),
        (
            "AgentCreate",
            "/v1/agents",
            json!({"name": "least", "model_id": 1}),
        ),
        ("CircleCreate", "/v1/circles", json!({"name": "team"})),
        (
            "MemberCreate",
            "/v1/circles/team/members",
            json!({"agent_id": 1}),
        ),
        (
            "ConversationCreate",
            "/v1/conversations",
            json!({"topic": "least"}),
        ),
        (
            "ParticipantCreate",
            "/v1/conversations/1/participants",
            json!({"agent_id": 1}),
        ),
        (
            "MessageCreate",
            "/v1/conversations/1/messages",
            json!({"content": "least"}),
        ),
    ] {
        let example = &description["components"]["schemas"][schema]["example"];
        app.post(path, example).await.created();
        app.post(path, &least).await.created();
    }
}
