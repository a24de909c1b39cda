//! Agents by the names that another system has for them.

use reqwest::Method;
use serde_json::{Value, json};

use test_support::{Answer, TestApp, factories::assert_holds, on_both};

async fn put(app: &TestApp, external_id: &str, body: &Value) -> Answer {
    let path = format!("/v1/agents/by-external-id/{external_id}");
    app.send(Method::PUT, &path, Some(body)).await
}

#[tokio::test]
async fn an_agent_is_created_once_for_its_external_id_and_replaced_after() {
    on_both(async |app| {
        let full = json!({"name": "Ada", "role": "r", "skill_names": ["a"], "status": "busy"});
        let answer = put(app, "crew%2Fada", &full).await;
        let path = answer.header("location").to_owned();
        let created = answer.created();
        assert_holds(&created, &full);
        assert_eq!(created["external_id"], "crew/ada");
        assert_eq!(app.get(&path).await.ok(), created);

        let tag = app.get(&path).await.header("etag").to_owned();
        let again = put(app, "crew%2Fada", &full).await;
        assert_eq!(
            (again.header("etag"), again.header("location")),
            (tag.as_str(), "")
        );
        assert_eq!(again.ok(), created);
        let entries = app.total("/v1/audit").await;

        let replaced = put(app, "crew%2Fada", &json!({"name": "Ada 2"})).await.ok();
        let expected = json!({
            "id": created["id"], "name": "Ada 2", "role": null, "skill_names": [], "status": "idle",
            "external_id": "crew/ada", "created_at": created["created_at"]
        });
        assert_holds(&replaced, &expected);
        assert_eq!(app.total("/v1/agents").await, 1);
        assert_ne!(app.total("/v1/audit").await, entries);

        let stale = app.request(Method::PUT, "/v1/agents/by-external-id/crew%2Fada");
        let stale = stale.header("if-match", tag).json(&full);
        Answer::to(stale).await.problem(412, "precondition_failed");
        let none = app.request(Method::PUT, "/v1/agents/by-external-id/other");
        let none = none.header("if-match", "*").json(&full);
        Answer::to(none).await.problem(412, "precondition_failed");
        let other = json!({"name": "Ada", "external_id": "other"});
        put(app, "ada", &other).await.invalid(&["#/external_id"]);
        let model = json!({"name": "Ada", "model_id": 99});
        put(app, "ada", &model).await.invalid(&["#/model_id"]);
        put(app, "crew%2Fada", &model)
            .await
            .invalid(&["#/model_id"]);
        put(app, &"x".repeat(256), &full)
            .await
            .invalid(&["path/agent_external_id"]);
    })
    .await;
}

#[tokio::test]
async fn an_external_id_is_that_of_one_agent_that_is_not_deleted() {
    on_both(async |app| {
        let new = json!({"name": "Ada", "external_id": "ada"});
        let first = app.post("/v1/agents", &new).await.created();
        app.post("/v1/agents", &new)
            .await
            .problem(409, "external_id_taken");
        let path = format!("/v1/agents/{}", app.an_agent("Bob").await);
        let taken = app.patch(&path, &json!({"external_id": "ada"})).await;
        taken.problem(409, "external_id_taken");
        app.patch(&path, &json!({"external_id": "ADA"})).await.ok();

        let first = format!("/v1/agents/{}", first["id"]);
        app.delete(&first).await.no_content();
        let second = put(app, "ada", &new).await.created();
        let restored = app
            .send(Method::POST, &format!("{first}/restore"), None)
            .await;
        restored.problem(409, "external_id_taken");
        let second = format!("/v1/agents/{}", second["id"]);
        app.patch(&second, &json!({"external_id": null})).await.ok();
        let restored = app
            .send(Method::POST, &format!("{first}/restore"), None)
            .await;
        assert_eq!(restored.ok()["external_id"], "ada");
    })
    .await;
}

#[tokio::test]
async fn of_many_that_create_the_agent_of_an_external_id_one_does() {
    on_both(async |app| {
        let body = json!({"name": "Ada"});
        let all = (0..8).map(|_| put(app, "ada", &body));
        let answers = futures_util::future::join_all(all).await;
        let created = answers.iter().filter(|answer| answer.status == 201).count();
        let found = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!((created, found), (1, 7));
        assert_eq!(app.total("/v1/agents").await, 1);
    })
    .await;
}
