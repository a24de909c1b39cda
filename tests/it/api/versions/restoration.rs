//! Returning to a version.

use reqwest::Method;
use serde_json::{Value, json};

use super::{count, definition_of, listed, restore, version};
use test_support::{Answer, TestApp, factories::id, on_both};

/// An agent that uses everything that there is, with one version.
async fn an_agent_with_references(app: &TestApp) -> i64 {
    let provider = app.a_provider("p").await;
    let models = [
        app.a_model(provider, "m").await,
        app.a_model(provider, "n").await,
    ];
    let server = json!({"name": "git", "transport": "stdio", "command": "git-mcp"});
    app.post("/v1/mcp-servers", &server).await.created();
    let body = json!({
        "name": "Ada", "external_id": "ada@x", "role": "reviewer", "description": "Reviews.\nAll day.",
        "system_prompt": "You review.", "base_prompt": "You help.", "skill_names": ["rust"],
        "competencies": ["sql"], "can_review": ["rust"], "traits": ["kind"], "languages": ["en"],
        "communication_style": "brief", "temperature": 0.5, "max_tokens": 100,
        "params": {"top_p": 0.5, "extra": {"n": 12_345_678_901_234_567_i64}}, "model_id": models[0],
        "fallback_model_ids": [models[1]], "tools": [{"type": "mcp", "server": "git"}], "metadata": {"b": 1, "a": 2}
    });
    id(&app.post("/v1/agents", &body).await.created())
}

#[tokio::test]
async fn an_agent_returns_to_a_version_by_a_new_one_that_equals_it() {
    on_both(async |app| {
        let agent = an_agent_with_references(app).await;
        let path = format!("/v1/agents/{agent}");
        let first = app.get(&path).await.ok();
        let others = json!({
            "name": "Eve", "external_id": null, "tools": [], "fallback_model_ids": [], "model_id": null,
            "params": {}, "metadata": {}, "temperature": null, "skill_names": [], "status": "busy"
        });
        app.patch(&path, &others).await.ok();

        let again = format!("{path}/versions/1/restore?message=back");
        let request = app.request(Method::POST, &again).header("if-match", "\"1-1\"");
        Answer::to(request).await.problem(412, "precondition_failed");
        let request = || app.request(Method::POST, &again).header("idempotency-key", "k");
        let answer = Answer::to(request()).await;
        let restored = answer.body.clone();
        assert_eq!(definition_of(&answer.ok()), definition_of(&first));
        assert_eq!((&restored["status"], &restored["version"]), (&json!("busy"), &json!(3)));
        let replayed = Answer::to(request()).await;
        assert_eq!(replayed.header("idempotency-replayed"), "true");
        assert_eq!(replayed.body, restored);
        assert_eq!(count(app, agent).await, 3);
        let (one, three) = (version(app, agent, 1).await, version(app, agent, 3).await);
        assert_eq!((&one["digest"], &one["definition"]), (&three["digest"], &three["definition"]));
        assert_eq!(three["message"], "back");
        let handle = app.get(&format!("{path}/handle")).await.ok();
        assert_eq!(handle["tools"][0]["server"]["name"], "git", "the links are back, too");

        let unchanged = restore(app, agent, 1).await;
        let tag = unchanged.header("etag").to_owned();
        assert_eq!(unchanged.ok(), restored);
        assert_eq!(app.get(&path).await.header("etag"), tag);
        assert_eq!(count(app, agent).await, 3);

        for gone in [(agent, 4), (99, 1)] {
            restore(app, gone.0, gone.1).await.problem(404, "not_found");
        }
        app.delete(&path).await.no_content();
        restore(app, agent, 1).await.problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn a_version_that_refers_to_what_is_gone_is_not_restored_and_the_answer_names_it() {
    on_both(async |app| {
        let agent = an_agent_with_references(app).await;
        let path = format!("/v1/agents/{agent}");
        let refused = async |part: &str| {
            let problem = restore(app, agent, 1).await.problem(409, "reference_gone");
            let detail = problem["detail"].as_str().expect("a text");
            assert!(detail.contains(part), "{detail}");
            let handle = app.get(&format!("{path}/handle?version=1")).await;
            handle.problem(409, "reference_gone");
        };
        app.patch(&path, &json!({"tools": []})).await.ok();
        app.delete("/v1/mcp-servers/1").await.no_content();
        refused("#/tools/0/server, \"git\"").await;
        let server = json!({"name": "git", "transport": "stdio", "command": "git-mcp"});
        app.post("/v1/mcp-servers", &server).await.created();
        app.patch(&path, &json!({"fallback_model_ids": []}))
            .await
            .ok();
        app.delete("/v1/models/2").await.no_content();
        refused("#/fallback_model_ids/0, 2").await;
        app.patch(&path, &json!({"model_id": null})).await.ok();
        app.delete("/v1/models/1").await.no_content();
        refused("1").await;
        assert_eq!(count(app, agent).await, 4);
        restore(app, agent, 4).await.ok();
    })
    .await;
}

#[tokio::test]
async fn a_version_whose_model_alone_is_gone_is_not_restored() {
    on_both(async |app| {
        let provider = app.a_provider("p").await;
        let model = app.a_model(provider, "m").await;
        let agent = app.an_agent_on("Ada", model).await;
        app.patch(&format!("/v1/agents/{agent}"), &json!({"model_id": null}))
            .await
            .ok();
        app.delete(&format!("/v1/models/{model}"))
            .await
            .no_content();
        let problem = restore(app, agent, 1).await.problem(409, "reference_gone");
        assert_eq!(
            problem["detail"],
            "Version 1 can't be restored: #/model_id, 1: there is no such model."
        );
    })
    .await;
}

#[tokio::test]
async fn a_version_whose_external_id_is_taken_is_not_restored() {
    on_both(async |app| {
        let body = json!({"name": "Ada", "external_id": "ada@x"});
        let agent = id(&app.post("/v1/agents", &body).await.created());
        app.patch(
            &format!("/v1/agents/{agent}"),
            &json!({"external_id": null}),
        )
        .await
        .ok();
        app.post("/v1/agents", &body).await.created();
        restore(app, agent, 1)
            .await
            .problem(409, "external_id_taken");
        assert_eq!(count(app, agent).await, 2);
    })
    .await;
}

#[tokio::test]
async fn an_agent_is_restored_with_a_version_only_if_it_lost_something() {
    on_both(async |app| {
        let agent = an_agent_with_references(app).await;
        let path = format!("/v1/agents/{agent}");
        let back = async || {
            let path = format!("{path}/restore?message=back");
            app.send(Method::POST, &path, None).await.ok()
        };
        app.delete(&path).await.no_content();
        back().await;
        assert_eq!(count(app, agent).await, 1);

        app.delete(&path).await.no_content();
        app.delete("/v1/mcp-servers/1").await.no_content();
        app.delete("/v1/models/2").await.no_content();
        let restored = back().await;
        assert_eq!(
            (&restored["tools"], &restored["fallback_model_ids"]),
            (&json!([]), &json!([]))
        );
        assert_eq!(count(app, agent).await, 2);
        assert_eq!(
            version(app, agent, 2).await["definition"],
            definition_of(&restored)
        );

        app.delete(&path).await.no_content();
        app.delete("/v1/models/1").await.no_content();
        let restored = back().await;
        assert_eq!(restored["model_id"], Value::Null);
        assert_eq!(count(app, agent).await, 3);
        assert_eq!(
            version(app, agent, 3).await["definition"],
            definition_of(&restored)
        );
        let messages: Vec<Value> = listed(app, agent)
            .await
            .iter()
            .map(|row| row["message"].clone())
            .collect();
        assert_eq!(
            json!(messages),
            json!([null, "back", null]),
            "the deletion of the model made the last one"
        );
    })
    .await;
}
