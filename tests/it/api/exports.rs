//! Circles as other systems load them.

use reqwest::Method;
use serde_json::json;

use test_support::{Answer, TestApp, on_both};

fn path(format: &str) -> String {
    format!("/v1/circles/team/export?format={format}")
}

/// A circle with so many members, each with a model, a server and more than any format has a place for.
async fn a_team(app: &TestApp, members: usize) {
    let provider = json!({"name": "gateway", "api_type": "openai", "base_url": "https://llm.example.com/v1", "api_key_env": "GATEWAY_KEY"});
    let provider = app.post("/v1/providers", &provider).await.created();
    let model = json!({"provider_id": provider["id"], "model_name": "large"});
    let model = app.post("/v1/models", &model).await.created();
    let server = json!({"name": "web", "transport": "sse", "url": "https://web.example.com/mcp", "headers": {"Authorization": "Bearer ${WEB_TOKEN}"}});
    app.post("/v1/mcp-servers", &server).await.created();
    let circle = json!({"name": "team", "description": "Plans and builds", "settings": {"instructions": "Be kind."}});
    app.post("/v1/circles", &circle).await.created();
    for number in 0..members {
        let agent = json!({"name": format!("Agent {number}"), "description": "Works", "system_prompt": "You work.\nBe brief.",
            "model_id": model["id"], "temperature": 0.5, "traits": ["calm"], "skill_names": ["rust"],
            "tools": [{"type": "mcp", "server": "web", "allow": ["search"]}, {"type": "builtin", "name": "Read"},
                      {"type": "builtin", "name": "shell"}, {"type": "function", "name": "add"}]});
        let agent = app.post("/v1/agents", &agent).await.created();
        app.a_member("team", agent["id"].as_i64().expect("an id"))
            .await;
    }
}

#[tokio::test]
async fn docker_agent_loads_a_circle_from_its_address() {
    on_both(async |app| {
        a_team(app, 2).await;
        let answer = app.get(&path("docker-agent")).await;
        assert_eq!(answer.header("content-type"), "application/yaml");
        let tag = answer.header("etag").to_owned();
        assert_eq!(answer.text, include_str!("exports/docker-agent.yaml"));
        let again = async |tag: &str| {
            let request = app.request(Method::GET, &path("docker-agent"));
            Answer::to(request.header("if-none-match", tag)).await
        };
        let unchanged = again(&tag).await;
        assert_eq!((unchanged.status, unchanged.text.as_str()), (304, ""));
        // The tag moves with what the response shows, and with nothing else.
        app.patch("/v1/agents/1", &json!({"status": "busy"}))
            .await
            .ok();
        assert_eq!(again(&tag).await.status, 304);
        app.patch("/v1/agents/1", &json!({"temperature": 0.6}))
            .await
            .ok();
        let changed = again(&tag).await;
        assert_eq!(changed.status, 200);
        assert_ne!(changed.header("etag"), tag);
    })
    .await;
}

#[tokio::test]
async fn sub_agents_of_claude_code_are_files() {
    on_both(async |app| {
        a_team(app, 2).await;
        let answer = app.get(&path("claude")).await;
        let tag = answer.header("etag").to_owned();
        let exported = answer.ok();
        assert_eq!(exported["files"][0]["path"], "agent-0.md");
        assert_eq!(
            exported["files"][0]["content"],
            "---\nname: agent-0\ndescription: Works\ntools:\n  - mcp__web__search\n  - Read\nmcpServers:\n  web:\n    type: sse\n    \
             url: \"https://web.example.com/mcp\"\n    headers:\n      Authorization: \"Bearer ${WEB_TOKEN}\"\nskills:\n  - rust\n---\n\n\
             You work.\nBe brief.\n\n## Instructions of the circle\n\nBe kind.\n"
        );
        let report = exported["report"].as_array().expect("a report");
        let fields: Vec<&str> = report.iter().filter(|it| it["agent"] == "Agent 0").filter_map(|it| it["field"].as_str()).collect();
        assert_eq!(fields, ["agent_name", "tools.shell", "tools.add", "model", "traits", "temperature"]);
        let request = app.request(Method::GET, &path("claude"));
        assert_eq!(Answer::to(request.header("if-none-match", tag)).await.status, 304);
    })
    .await;
}

#[tokio::test]
async fn a_label_exports_what_was_released() {
    on_both(async |app| {
        a_team(app, 2).await;
        let formats = ["docker-agent", "claude", "document"];
        let mut before = Vec::new();
        for format in formats {
            before.push(app.get(&path(format)).await.text);
        }
        let release = json!({"labels": ["production"]});
        app.post("/v1/circles/team/releases", &release)
            .await
            .created();
        app.patch("/v1/agents/1", &json!({"system_prompt": "Changed."}))
            .await
            .ok();
        for (format, before) in formats.iter().zip(&before) {
            assert_ne!(app.get(&path(format)).await.text, *before, "{format}");
            let labelled = app.get(&format!("{}&label=production", path(format))).await;
            assert_eq!(labelled.text, *before, "{format}");
            assert!(!labelled.header("etag").is_empty());
        }
        app.get(&format!("{}&label=staging", path("claude")))
            .await
            .problem(404, "not_found");
        app.get("/v1/circles/nowhere/export?format=claude")
            .await
            .problem(404, "not_found");
        app.get("/v1/circles/team/export?format=other")
            .await
            .problem(422, "invalid_request");
    })
    .await;
}

#[tokio::test]
async fn a_document_over_http_is_the_one_of_the_command() {
    on_both(async |app| {
        a_team(app, 2).await;
        let text = app.get(&path("document")).await.text;
        assert!(
            text.starts_with("kind: CircleRegistry\nversion: 1\nproviders:\n"),
            "{text}"
        );
        assert!(text.contains("- agent: Agent 0\n"), "{text}");
        assert!(!text.contains("status"), "state is no part of it: {text}");
        app.an_agent("Agent 0").await;
        let other = app
            .post("/v1/agents", &json!({"name": "Agent 0"}))
            .await
            .created();
        app.a_member("team", other["id"].as_i64().expect("an id"))
            .await;
        app.get(&path("document"))
            .await
            .problem(409, "agent_name_ambiguous");
        app.get(&path("docker-agent"))
            .await
            .text
            .find("Agent 0 2:")
            .expect("another name");
    })
    .await;
}

#[tokio::test]
async fn more_members_take_no_more_statements() {
    on_both(async |app| {
        a_team(app, 1).await;
        for format in ["docker-agent", "claude", "document"] {
            let (answer, few) = app.statements(app.get(&path(format))).await;
            assert_eq!(answer.status, 200);
            for number in 0..5 {
                let agent = json!({"name": format!("{format} {number}"), "model_id": 1, "tools": [{"type": "mcp", "server": "web"}]});
                let agent = app.post("/v1/agents", &agent).await.created();
                app.a_member("team", agent["id"].as_i64().expect("an id")).await;
            }
            let (answer, many) = app.statements(app.get(&path(format))).await;
            assert_eq!((answer.status, many), (200, few), "{format}");
        }
        let release = json!({"labels": ["l"]});
        app.post("/v1/circles/team/releases", &release).await.created();
        let (answer, statements) = app.statements(app.get(&format!("{}&label=l", path("docker-agent")))).await;
        assert_eq!((answer.status, statements), (200, 1));
    })
    .await;
}
