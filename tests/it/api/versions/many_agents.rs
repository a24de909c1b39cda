//! Changes of many agents at once, and of one agent by many.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{count, definition_of, version};
use test_support::{TestApp, factories::id, on_both};

/// More than are in memory at once.
const MANY: i64 = 103;

async fn agents(app: &TestApp, body: impl Fn(i64) -> Value) -> Vec<i64> {
    let mut ids = Vec::new();
    for number in 0..MANY {
        ids.push(id(&app.post("/v1/agents", &body(number)).await.created()));
    }
    ids
}

/// Each of the agents has so many versions, the last of which is what it is now.
async fn check(app: &TestApp, agents: &[i64], versions: i64, message: &Value) {
    for agent in agents {
        assert_eq!(count(app, *agent).await, versions);
        let newest = version(app, *agent, versions).await;
        let shown = app.get(&format!("/v1/agents/{agent}")).await.ok();
        assert_eq!(newest["definition"], definition_of(&shown));
        assert_eq!(newest["message"], *message);
    }
}

#[tokio::test]
async fn agents_that_are_moved_to_another_model_have_a_version_more() {
    on_both(async |app| {
        let provider = app.a_provider("p").await;
        let (old, new) = (app.a_model(provider, "m").await, app.a_model(provider, "n").await);
        let falls_back = |number: i64| if number == 1 { json!([old]) } else { json!([]) };
        let model = |number: i64| if number == 1 { new } else { old };
        let body = |number: i64| {
            json!({"name": "a", "model_id": model(number), "fallback_model_ids": falls_back(number)})
        };
        let agents = agents(app, body).await;
        let path = format!("/v1/models/{old}/repoint?message=cheaper");
        app.post(&path, &json!({"to": new, "dry_run": true})).await.ok();
        check(app, &agents[..3], 1, &Value::Null).await;
        app.post(&path, &json!({"to": new})).await.ok();
        check(app, &agents, 2, &json!("cheaper")).await;
        app.post(&path, &json!({"to": new})).await.ok();
        check(app, &agents[..3], 2, &json!("cheaper")).await;
    })
    .await;
}

#[tokio::test]
async fn agents_whose_server_is_renamed_have_a_version_more_deleted_ones_too() {
    on_both(async |app| {
        let server = json!({"name": "git", "transport": "stdio", "command": "git-mcp"});
        let server = id(&app.post("/v1/mcp-servers", &server).await.created());
        let body = |_| json!({"name": "a", "tools": [{"type": "mcp", "server": "git"}]});
        let agents = agents(app, body).await;
        let gone = format!("/v1/agents/{}", agents[0]);
        app.delete(&gone).await.no_content();
        let path = format!("/v1/mcp-servers/{server}?message=clearer");
        app.patch(&path, &json!({"description": "Git."})).await.ok();
        check(app, &agents[1..3], 1, &Value::Null).await;
        app.patch(&path, &json!({"name": "github"})).await.ok();
        app.send(reqwest::Method::POST, &format!("{gone}/restore"), None)
            .await
            .ok();
        check(app, &agents, 2, &json!("clearer")).await;
    })
    .await;
}

#[tokio::test]
async fn many_deleted_agents_lose_their_model_with_a_version_more() {
    on_both(async |app| {
        let provider = app.a_provider("p").await;
        let model = app.a_model(provider, "m").await;
        let agents = agents(app, |_| json!({"name": "a", "model_id": model})).await;
        for agent in &agents {
            app.delete(&format!("/v1/agents/{agent}"))
                .await
                .no_content();
        }
        app.delete(&format!("/v1/models/{model}"))
            .await
            .no_content();
        for agent in &agents {
            let path = format!("/v1/agents/{agent}/restore");
            let restored = app.send(reqwest::Method::POST, &path, None).await.ok();
            assert_eq!(restored["model_id"], Value::Null);
        }
        check(app, &agents, 2, &Value::Null).await;
    })
    .await;
}

#[tokio::test]
async fn eight_writers_of_one_agent_leave_versions_without_gaps() {
    const WRITERS: i64 = 8;
    const CHANGES: i64 = 10;
    on_both(async |app| {
        let agent = app.an_agent("Ada").await;
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let requests: Vec<_> = (0..CHANGES)
                .map(|change| {
                    let body = json!({"role": format!("{writer}-{change}")});
                    app.request(reqwest::Method::PATCH, &format!("/v1/agents/{agent}"))
                        .json(&body)
                })
                .collect();
            writers.spawn(async move {
                let mut versions = Vec::new();
                for request in requests {
                    let answer = test_support::Answer::to(request).await.ok();
                    versions.push(answer["version"].as_i64().expect("a number"));
                }
                versions
            });
        }
        let mut versions = writers.join_all().await.concat();
        versions.sort_unstable();
        let all: Vec<i64> = (2..=WRITERS * CHANGES + 1).collect();
        assert_eq!(versions, all);
        assert_eq!(count(app, agent).await, WRITERS * CHANGES + 1);
    })
    .await;
}
