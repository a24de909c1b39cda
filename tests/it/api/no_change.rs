//! A request that sets what is set already changes nothing: no revision, no time of a change, no audit entry.

use reqwest::Method;
use serde_json::{Value, json};

use test_support::{TestApp, factories::id, on_both};

/// Creates a row of every resource, and returns requests that change it; the second time, they change nothing.
async fn changes(app: &TestApp) -> Vec<(Method, String, Option<Value>)> {
    let provider = app.a_provider("p").await;
    let model = app.a_model(provider, "m").await;
    let agent = app.an_agent("a").await;
    app.a_circle("team").await;
    app.a_member("team", agent).await;
    let conversation = json!({"topic": "t", "circle": "team"});
    let conversation = id(&app.post("/v1/conversations", &conversation).await.created());
    let patch = |path: String, body| (Method::PATCH, path, Some(body));
    let member = json!({"agent_id": agent, "role": "observer", "max_tokens": 7});
    let operation = json!({
        "op": "update", "agent_id": agent, "role": "reviewer", "permissions": {"a": [1.5, null]}
    });
    vec![
        patch(
            format!("/v1/providers/{provider}"),
            json!({"name": "q", "display_name": "Q", "is_local": true, "config": {"b": 1, "a": {}}}),
        ),
        patch(
            format!("/v1/models/{model}"),
            json!({
                "model_name": "n", "input_price": "0.10", "context_window": 10, "mode": "chat",
                "deprecation_date": "2030-01-01", "is_deprecated": true
            }),
        ),
        patch(
            format!("/v1/agents/{agent}"),
            json!({
                "name": "b", "role": null, "system_prompt": "s", "skill_names": ["x"], "temperature": 0.1,
                "model_id": model, "status": "busy", "metadata": {"n": 1e3, "m": "é"}
            }),
        ),
        patch(
            "/v1/circles/team".to_owned(),
            json!({"name": "team", "status": "running", "max_members": 5, "settings": {"s": "t"}}),
        ),
        (Method::POST, "/v1/circles/team/stop".to_owned(), None),
        (Method::POST, "/v1/circles/team/start".to_owned(), None),
        patch(
            format!("/v1/circles/team/members/{agent}"),
            json!({"role": "lead", "competencies": ["c"], "temperature": 0.3}),
        ),
        (
            Method::PUT,
            "/v1/circles/team/members".to_owned(),
            Some(json!({"members": [member]})),
        ),
        (
            Method::POST,
            "/v1/circles/team/members:batch".to_owned(),
            Some(json!({"operations": [operation]})),
        ),
        patch(
            format!("/v1/conversations/{conversation}"),
            json!({"topic": "u", "turn_strategy": "round_robin", "max_turns": 9, "status": "paused"}),
        ),
    ]
}

/// What the service shows of every resource, with its tags, and the number of audit entries.
async fn state(app: &TestApp) -> (Vec<Value>, Value) {
    let mut shown = Vec::new();
    for path in [
        "/v1/providers/1",
        "/v1/models/1",
        "/v1/agents/1",
        "/v1/circles/team",
        "/v1/circles/team/members/1",
        "/v1/conversations/1",
    ] {
        let answer = app.get(path).await;
        let tag = answer.header("etag").to_owned();
        shown.push(json!([tag, answer.ok()]));
    }
    (shown, app.total("/v1/audit").await)
}

#[tokio::test]
async fn what_is_set_already_is_no_change() {
    on_both(async |app| {
        for (method, path, body) in changes(app).await {
            let send = || app.send(method.clone(), &path, body.as_ref());
            let before = state(app).await;
            send().await.ok();
            let changed = state(app).await;
            assert_ne!(before, changed, "{method} {path}");
            for _ in 0..2 {
                send().await.ok();
                assert_eq!(state(app).await, changed, "{method} {path}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_precondition_holds_for_a_request_that_changes_nothing() {
    on_both(async |app| {
        let path = format!("/v1/agents/{}", app.an_agent("Ada").await);
        let tag = app.get(&path).await.header("etag").to_owned();
        let update = json!({"name": "Ada", "role": "tester"});
        app.patch(&path, &update).await.ok();
        let stale = app.patch_if_match(&path, &tag, update.clone()).await;
        stale.problem(412, "precondition_failed");
        let tag = app.get(&path).await.header("etag").to_owned();
        let same = app.patch_if_match(&path, &tag, update).await;
        assert_eq!(same.header("etag"), tag);
        same.ok();
    })
    .await;
}
