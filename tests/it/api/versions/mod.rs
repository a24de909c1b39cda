//! Versions of agents: which changes leave one, what it holds, and returning to it.

mod comparison;
mod handles;
mod history;
mod many_agents;
mod random_changes;
mod restoration;

use reqwest::Method;
use serde_json::Value;

use test_support::{Answer, TestApp};

/// The versions of an agent as its list shows them, the newest first.
async fn listed(app: &TestApp, agent: i64) -> Vec<Value> {
    let path = format!("/v1/agents/{agent}/versions?limit=200");
    let page = app.get(&path).await.ok();
    page["data"].as_array().expect("rows").clone()
}

/// How many versions an agent has. Their numbers have no gaps, and the agent shows the newest one.
async fn count(app: &TestApp, agent: i64) -> i64 {
    let versions = listed(app, agent).await;
    let count = i64::try_from(versions.len()).expect("few");
    let numbers: Vec<_> = versions
        .iter()
        .map(|version| version["number"].as_i64())
        .collect();
    let expected: Vec<_> = (1..=count).rev().map(Some).collect();
    assert_eq!(numbers, expected);
    let shown = app.get(&format!("/v1/agents/{agent}")).await.ok();
    assert_eq!(shown["version"], count);
    count
}

async fn version(app: &TestApp, agent: i64, number: i64) -> Value {
    app.get(&format!("/v1/agents/{agent}/versions/{number}"))
        .await
        .ok()
}

async fn restore(app: &TestApp, agent: i64, number: i64) -> Answer {
    let path = format!("/v1/agents/{agent}/versions/{number}/restore");
    app.send(Method::POST, &path, None).await
}

/// What an agent shows besides what its definition holds.
const STATE: [&str; 6] = [
    "id",
    "status",
    "is_active",
    "created_at",
    "updated_at",
    "version",
];

/// The definition that an agent shows.
fn definition_of(agent: &Value) -> Value {
    let mut definition = agent.clone();
    let fields = definition.as_object_mut().expect("an object");
    fields.retain(|name, _| !STATE.contains(&name.as_str()));
    definition
}
