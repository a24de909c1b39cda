//! What an agent is built from besides its prompt: tools, parameters and fallback models.

use serde_json::{Value, json};

use test_support::{
    TestApp,
    factories::{assert_holds, id},
    on_both,
};

use super::{handles::post, mcp_servers::a_server};

pub(super) async fn a_provider(app: &TestApp) -> i64 {
    let provider = json!({
        "name": "acme", "api_type": "openai", "base_url": "https://api.acme.example/v1",
        "api_key_env": "ACME_API_KEY"
    });
    post(app, "/v1/providers", provider).await
}

/// A model of the provider with these fields.
pub(super) async fn a_model(app: &TestApp, provider: i64, name: &str, fields: Value) -> i64 {
    let mut model = json!({"provider_id": provider, "model_name": name});
    let fields = fields.as_object().expect("fields").clone();
    model.as_object_mut().expect("a model").extend(fields);
    post(app, "/v1/models", model).await
}

pub(super) fn every_tool() -> Value {
    json!([
        {"type": "mcp", "server": "github", "allow": ["get_issue", "create_issue"]},
        {"type": "mcp", "server": "files"},
        {"type": "function", "name": "add", "description": "Adds \"numbers\".",
         "parameters": {"type": "object", "properties": {"b": {"maximum": 1e17}, "a": {"type": "number"}}}},
        {"type": "builtin", "name": "web_search", "config": {"max_uses": 3}}
    ])
}

pub(super) fn every_param() -> Value {
    json!({
        "top_p": 0.9, "top_k": 40, "min_p": 0.05, "frequency_penalty": -0.5, "presence_penalty": 2.0,
        "seed": 7, "stop": ["END", "\n\n"], "reasoning_effort": "high", "thinking_budget": 2048,
        "parallel_tool_calls": false,
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"z": 1, "a": 1e17}}},
        "extra": {"service_tier": "flex", "a": [1.0]}
    })
}

#[tokio::test]
async fn a_definition_is_stored_and_shown_as_it_was_sent() {
    on_both(async |app| {
        a_server(app, "github").await;
        a_server(app, "files").await;
        let provider = a_provider(app).await;
        let mut models = Vec::new();
        for name in ["a", "b", "c"] {
            models.push(a_model(app, provider, name, json!({"default_params": every_param()})).await);
        }
        let path = format!("/v1/models/{}", models[0]);
        assert_eq!(app.get(&path).await.ok()["default_params"], every_param());
        let new = json!({
            "name": "Ada", "model_id": models[0], "fallback_model_ids": [models[2], models[1]],
            "tools": every_tool(), "params": every_param()
        });
        let answer = app.post("/v1/agents", &new).await;
        let path = answer.header("location").to_owned();
        let created = answer.created();
        assert_holds(&created, &new);
        let text = app.get(&path).await;
        let tag = text.header("etag").to_owned();
        assert_eq!(text.ok(), created);
        let same = json!({"tools": every_tool(), "params": every_param(), "fallback_model_ids": [models[2], models[1]]});
        let again = app.patch(&path, &same).await;
        assert_eq!(again.header("etag"), tag, "no change");

        app.a_circle("team").await;
        let member = json!({"agent_id": created["id"], "params": every_param()});
        let member = app.post("/v1/circles/team/members", &member).await.created();
        assert_eq!(member["params"], every_param());
        let path = format!("/v1/circles/team/members/{}", created["id"]);
        let member = app.patch(&path, &json!({"params": {"seed": null, "top_k": 5}})).await.ok();
        assert_eq!(member["params"], json!({"top_k": 5}), "replaced as a whole");

        let listed = format!("/v1/agents?fallback_model_id={}", models[1]);
        assert_eq!(app.listed(&listed, "id").await, [id(&created)]);
    })
    .await;
}

#[tokio::test]
async fn a_tool_that_is_not_as_its_type_asks_for_is_rejected_by_its_place() {
    on_both(async |app| {
        a_server(app, "github").await;
        let f = json!({"type": "function", "name": "f"});
        for (tool, pointer) in [
            (json!({"type": "mcp"}), "#/tools/1/server"),
            (
                json!({"type": "mcp", "server": "gitlab"}),
                "#/tools/1/server",
            ),
            (
                json!({"type": "mcp", "server": "github", "name": "x"}),
                "#/tools/1/name",
            ),
            (json!({"type": "function"}), "#/tools/1/name"),
            (
                json!({"type": "function", "name": "g", "server": "github"}),
                "#/tools/1/server",
            ),
            (
                json!({"type": "function", "name": "g", "config": {}}),
                "#/tools/1/config",
            ),
            (json!({"type": "function", "name": "g h"}), "#/tools/1/name"),
            (json!({"type": "builtin", "name": "f"}), "#/tools/1/name"),
            (
                json!({"type": "builtin", "name": "g", "parameters": {}}),
                "#/tools/1/parameters",
            ),
            (
                json!({"type": "builtin", "name": "g", "config": {"password": "8f3a61c02b7de945"}}),
                "#/tools/1/config/password",
            ),
            (json!({"type": "skill", "name": "g"}), "#/tools/1/type"),
            (
                json!({"type": "builtin", "name": "g", "url": "x"}),
                "#/tools/1/url",
            ),
        ] {
            let body = json!({"name": "Ada", "tools": [f, tool]});
            app.post("/v1/agents", &body).await.invalid(&[pointer]);
        }
        let twice =
            json!([{"type": "mcp", "server": "github"}, {"type": "mcp", "server": "github"}]);
        let body = json!({"name": "Ada", "tools": twice});
        app.post("/v1/agents", &body)
            .await
            .invalid(&["#/tools/1/server"]);
        assert_eq!(app.total("/v1/agents").await, 0);
    })
    .await;
}

#[tokio::test]
async fn parameters_have_bounds_and_hold_no_secrets() {
    on_both(async |app| {
        for (name, value) in [
            ("top_p", json!(1.1)),
            ("top_k", json!(-1)),
            ("min_p", json!(-0.1)),
            ("frequency_penalty", json!(2.5)),
            ("presence_penalty", json!("1")),
            ("stop", json!("END")),
            ("reasoning_effort", json!("Very High")),
            ("thinking_budget", json!(-2)),
            ("parallel_tool_calls", json!(1)),
            ("response_format", json!("json")),
            ("temperature", json!(1)),
        ] {
            let body = json!({"name": "Ada", "params": {name: value}});
            app.post("/v1/agents", &body)
                .await
                .invalid(&[&*format!("#/params/{name}")]);
        }
        let body = json!({"name": "Ada", "params": {"extra": {"api_key": "8f3a61c02b7de945f1"}}});
        app.post("/v1/agents", &body)
            .await
            .invalid(&["#/params/extra/api_key"]);
    })
    .await;
}

#[tokio::test]
async fn a_fallback_is_another_model_that_stays_while_an_agent_may_fall_back_on_it() {
    on_both(async |app| {
        let provider = a_provider(app).await;
        let own = a_model(app, provider, "own", json!({})).await;
        let other = a_model(app, provider, "other", json!({})).await;
        for (ids, pointer) in [
            (json!([own]), "#/fallback_model_ids/0"),
            (json!([other, other]), "#/fallback_model_ids/1"),
            (json!([other, 99]), "#/fallback_model_ids/1"),
            (json!([0]), "#/fallback_model_ids/0"),
        ] {
            let body = json!({"name": "Ada", "model_id": own, "fallback_model_ids": ids});
            app.post("/v1/agents", &body).await.invalid(&[pointer]);
        }
        let body = json!({"name": "Ada", "model_id": own, "fallback_model_ids": [other]});
        let agent = id(&app.post("/v1/agents", &body).await.created());
        let path = format!("/v1/agents/{agent}");
        let moved = json!({"model_id": other});
        app.patch(&path, &moved)
            .await
            .invalid(&["#/fallback_model_ids/0"]);

        let model = format!("/v1/models/{other}");
        let problem = app.delete(&model).await.problem(409, "model_in_use");
        assert!(
            problem["detail"]
                .as_str()
                .expect("a detail")
                .contains("Ada")
        );
        app.delete(&path).await.no_content();
        app.delete(&model).await.no_content();
        let restored = app.post(&format!("{path}/restore"), &json!({})).await.ok();
        assert_eq!(restored["fallback_model_ids"], json!([]));
    })
    .await;
}
