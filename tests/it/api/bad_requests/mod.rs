//! A bad request is refused with all its faults, and changes nothing.

mod bodies;
mod every_operation;
mod parameters;
mod routes;
mod words;

use serde_json::{Value, json};

use test_support::{Answer, TestApp, factories::id, on_both};

/// One list of each resource, and one row of it.
const RESOURCES: [(&str, &str); 5] = [
    ("/v1/providers", "/v1/providers/1"),
    ("/v1/models", "/v1/models/1"),
    ("/v1/agents", "/v1/agents/1"),
    ("/v1/circles", "/v1/circles/x"),
    ("/v1/circles/x/members", "/v1/circles/x/members/1"),
];

/// Runs a test on both databases with a row of each resource, and checks that the rows have not changed.
async fn refused(test: impl AsyncFn(&TestApp)) {
    on_both(async |app| {
        let provider = app.a_provider("x").await;
        let model = app.a_model(provider, "x").await;
        let agent = app.an_agent_on("x", model).await;
        let circle = app.a_circle("x").await;
        app.a_member("x", agent).await;
        assert_eq!([provider, model, agent, id(&circle)], [1; 4]);

        let before = everything(app).await;
        test(app).await;
        assert_eq!(everything(app).await, before, "something has changed");
    })
    .await;
}

async fn everything(app: &TestApp) -> Vec<Value> {
    let mut lists = Vec::new();
    for (list, _) in RESOURCES {
        lists.push(app.get(list).await.ok());
    }
    lists
}

/// The smallest body that creates a resource, with one fault in it.
fn nearly_right(list: &str) -> Value {
    match list {
        "/v1/providers" => json!({"name": "-", "api_type": "openai"}),
        "/v1/models" => json!({"provider_id": 17, "model_name": "m"}),
        "/v1/agents" => json!({"name": "a", "model_id": 17}),
        "/v1/circles" => json!({"name": "-"}),
        _ => json!({"agent_id": 17}),
    }
}

/// The places that a 400 or 422 points at.
#[track_caller]
fn pointers(answer: Answer, status: u16, code: &str) -> Vec<String> {
    let problem = answer.problem(status, code);
    let errors = problem["errors"].as_array().expect("errors");
    let pointer = |error: &Value| error["pointer"].as_str().expect("a pointer").to_owned();
    errors.iter().map(pointer).collect()
}
