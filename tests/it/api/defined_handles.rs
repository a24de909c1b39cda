//! What handles make of tools, parameters and fallback models.

use serde_json::{Value, json};

use test_support::{TestApp, factories::assert_holds, on_both};

use super::{
    handles::{codes, post},
    mcp_servers::a_server,
};

use super::definitions::{a_model, a_provider, every_param, every_tool};

/// The handle of the only member of the circle `team`.
async fn handle(app: &TestApp) -> Value {
    app.get("/v1/circles/team/handles").await.ok()["handles"][0].clone()
}

#[tokio::test]
async fn a_handle_has_the_tools_with_their_servers_and_each_fallback_with_its_settings() {
    on_both(async |app| {
        let server = json!({
            "name": "github", "transport": "streamable_http", "url": "https://mcp.example",
            "headers": {"Authorization": "Bearer ${GITHUB_TOKEN}"}
        });
        let server = post(app, "/v1/mcp-servers", server).await;
        a_server(app, "files").await;
        let provider = a_provider(app).await;
        let model = a_model(app, provider, "a", json!({"supports_tools": true})).await;
        let small = json!({"max_output": 100, "accepts_sampling": false, "default_params": {"seed": 1}});
        let fallback = a_model(app, provider, "b", small).await;
        let agent = json!({
            "name": "Ada", "model_id": model, "fallback_model_ids": [fallback], "tools": every_tool(),
            "temperature": 0.3, "max_tokens": 500
        });
        let agent = post(app, "/v1/agents", agent).await;
        app.a_circle("team").await;
        app.a_member("team", agent).await;

        let first = handle(app).await;
        let tools = first["tools"].as_array().expect("tools");
        assert_eq!(tools.len(), 4);
        assert_eq!(tools[0]["server"], json!({
            "name": "github", "transport": "streamable_http", "command": null, "args": [],
            "url": "https://mcp.example", "env": {}, "headers": {"Authorization": "Bearer ${GITHUB_TOKEN}"}
        }));
        assert_eq!(tools[0]["allow"], json!(["get_issue", "create_issue"]));
        assert_eq!((&tools[1]["server"]["name"], &tools[1]["allow"]), (&json!("files"), &json!(null)));
        assert_eq!(tools[2]["parameters"], every_tool()[2]["parameters"]);
        assert_eq!((&tools[3]["type"], &tools[3]["config"]), (&json!("builtin"), &json!({"max_uses": 3})));
        assert_eq!(first["temperature"], 0.3);
        let expected = json!({
            "provider": "acme", "model": "b", "base_url": "https://api.acme.example/v1", "temperature": null,
            "max_tokens": 100, "params": {"seed": 1},
            "omitted": [
                {"name": "temperature", "source": "agent", "reason": "no_sampling"},
                {"name": "max_tokens", "source": "agent", "reason": "over_max_output"}
            ]
        });
        assert_holds(&first["fallbacks"][0], &expected);
        assert_eq!(first["attributes"], json!({
            "gen_ai.agent.id": agent.to_string(), "gen_ai.agent.name": "Ada", "gen_ai.agent.version": "1",
            "gen_ai.request.model": "a", "gen_ai.provider.name": "acme"
        }));
        let alone = app.get(&format!("/v1/agents/{agent}/handle")).await.ok();
        assert_eq!((&alone["tools"], &alone["fallbacks"]), (&first["tools"], &first["fallbacks"]));

        let before = app.get("/v1/circles/team/handles").await.header("etag").to_owned();
        let path = format!("/v1/mcp-servers/{server}");
        app.patch(&path, &json!({"display_name": "not shown"})).await.ok();
        assert_eq!(app.get("/v1/circles/team/handles").await.header("etag"), before);
        app.patch(&path, &json!({"name": "gh", "url": "https://mcp.example/2"})).await.ok();
        let after = app.get("/v1/circles/team/handles").await;
        assert_ne!(after.header("etag"), before);
        let server = &after.ok()["handles"][0]["tools"][0]["server"];
        assert_eq!((&server["name"], &server["url"]), (&json!("gh"), &json!("https://mcp.example/2")));
    })
    .await;
}

#[tokio::test]
async fn parameters_come_from_the_member_then_the_agent_then_the_model_each_by_itself() {
    on_both(async |app| {
        let provider = a_provider(app).await;
        let defaults = json!({"seed": 1, "top_p": 0.1, "top_k": 1, "extra": {"a": 1, "b": {"x": 1}}});
        let model = a_model(app, provider, "m", json!({"default_params": defaults})).await;
        let params = json!({"top_p": 0.2, "top_k": 2, "extra": {"b": 2.50, "c": "x"}});
        let agent = json!({"name": "Ada", "model_id": model, "params": params});
        let agent = post(app, "/v1/agents", agent).await;
        app.a_circle("team").await;
        let member = json!({"agent_id": agent, "params": {"top_k": 3, "stop": ["x"]}});
        post(app, "/v1/circles/team/members", member).await;
        let handle = handle(app).await;
        assert_eq!(handle["params"], json!({
            "seed": 1, "top_p": 0.2, "top_k": 3, "stop": ["x"], "extra": {"a": 1, "b": 2.50, "c": "x"}
        }));
        assert_eq!(handle["provenance"]["params"], json!({
            "seed": "model", "top_p": "agent", "top_k": "member", "stop": "member",
            "extra.a": "model", "extra.b": "agent", "extra.c": "agent"
        }));
        assert_eq!(handle["omitted"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn what_a_model_rejects_is_left_out_with_the_reason() {
    on_both(async |app| {
        let provider = a_provider(app).await;
        let strict = json!({"accepts_sampling": false, "max_output": 100, "default_params": {"top_k": 9}});
        let strict = a_model(app, provider, "strict", strict).await;
        let able = json!({
            "supports_reasoning": true, "reasoning_efforts": ["low", "medium"], "supports_tools": true,
            "supports_response_schema": true
        });
        let able = a_model(app, provider, "able", able).await;
        let agent = json!({
            "name": "Ada", "model_id": strict, "temperature": 0.5, "max_tokens": 101, "params": every_param(),
            "tools": [{"type": "builtin", "name": "x"}]
        });
        let agent = post(app, "/v1/agents", agent).await;
        app.a_circle("team").await;
        app.a_member("team", agent).await;

        let refused = handle(app).await;
        assert_eq!((&refused["temperature"], &refused["max_tokens"]), (&json!(null), &json!(100)));
        assert_eq!(refused["params"], json!({
            "seed": 7, "stop": ["END", "\n\n"], "extra": {"service_tier": "flex", "a": [1.0]}
        }));
        let omitted = |handle: &Value| -> Vec<(String, String)> {
            let omitted = handle["omitted"].as_array().expect("omitted").iter();
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            omitted.map(|it| (text(&it["name"]), format!("{} {}", text(&it["source"]), text(&it["reason"])))).collect()
        };
        let expected = [
            ("temperature", "agent no_sampling"),
            ("max_tokens", "agent over_max_output"),
            ("frequency_penalty", "agent no_sampling"),
            ("min_p", "agent no_sampling"),
            ("parallel_tool_calls", "agent no_tools"),
            ("presence_penalty", "agent no_sampling"),
            ("reasoning_effort", "agent no_reasoning"),
            ("response_format", "agent no_response_schema"),
            ("thinking_budget", "agent no_reasoning"),
            ("top_k", "agent no_sampling"),
            ("top_p", "agent no_sampling"),
            ("top_k", "model no_sampling"),
        ];
        let owned = |(name, reason): (&str, &str)| (name.to_owned(), reason.to_owned());
        assert_eq!(omitted(&refused), expected.map(owned));
        let warned = codes(&refused["warnings"]);
        for code in ["max_tokens_over_output", "tools_not_supported", "response_schema_not_supported"] {
            assert!(warned.contains(&(code, true)), "{code} in {warned:?}");
        }

        let path = format!("/v1/agents/{agent}");
        app.patch(&path, &json!({"model_id": able})).await.ok();
        let accepted = handle(app).await;
        assert_eq!(omitted(&accepted), [owned(("reasoning_effort", "agent unknown_effort"))]);
        assert_eq!(accepted["temperature"], 0.5);
        assert_eq!(codes(&accepted["warnings"]), []);

        app.patch(&path, &json!({"tools": [], "params": {"parallel_tool_calls": true, "reasoning_effort": "low"}})).await.ok();
        assert_eq!(omitted(&handle(app).await), [owned(("parallel_tool_calls", "agent no_tools"))]);
    })
    .await;
}

#[tokio::test]
async fn a_model_that_retires_within_90_days_is_warned_of() {
    on_both(async |app| {
        let provider = a_provider(app).await;
        let today = chrono::Utc::now().date_naive();
        for (days, expected) in [
            (-1, &["model_deprecated"][..]),
            (0, &["model_deprecated"]),
            (1, &["model_retires_soon"]),
            (89, &["model_retires_soon"]),
            (92, &[]),
        ] {
            let date = today + chrono::TimeDelta::days(days);
            let model = a_model(
                app,
                provider,
                &format!("m{days}"),
                json!({"deprecation_date": date}),
            )
            .await;
            let agent = app.an_agent_on("Ada", model).await;
            let handle = app.get(&format!("/v1/agents/{agent}/handle")).await.ok();
            let found: Vec<&str> = codes(&handle["warnings"])
                .iter()
                .map(|(code, _)| *code)
                .collect();
            assert_eq!(found, expected, "{days} days");
        }
    })
    .await;
}

#[tokio::test]
async fn handles_take_two_statements_whatever_their_members_refer_to() {
    on_both(async |app| {
        let provider = a_provider(app).await;
        let model = a_model(app, provider, "m", json!({})).await;
        app.a_circle("team").await;
        let read = async || {
            let (answer, statements) = app.statements(app.get("/v1/circles/team/handles")).await;
            (answer.ok()["handles"].as_array().expect("handles").len(), statements)
        };
        app.a_member("team", app.an_agent_on("plain", model).await).await;
        assert_eq!(read().await, (1, 1));
        for number in 0..12 {
            let (server, fallback) = (format!("s{number}"), format!("f{number}"));
            a_server(app, &server).await;
            let fallback = a_model(app, provider, &fallback, json!({})).await;
            let tools: Vec<Value> = (0..=number).map(|it| json!({"type": "mcp", "server": format!("s{it}")})).collect();
            let agent = json!({"name": server, "model_id": model, "fallback_model_ids": [fallback], "tools": tools});
            let agent = post(app, "/v1/agents", agent).await;
            app.a_member("team", agent).await;
        }
        assert_eq!(read().await, (13, 2));
        let (answer, statements) = app.statements(app.get("/v1/circles/team/lint")).await;
        answer.ok();
        assert_eq!(statements, 2);
    })
    .await;
}
