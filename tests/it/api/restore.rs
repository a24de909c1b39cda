//! Restoring deleted agents and circles.

use reqwest::Method;
use serde_json::{Value, json};

use test_support::{
    Answer, TestApp,
    factories::{assert_holds, id, timestamp},
    on_both,
};

async fn restore(app: &TestApp, path: &str) -> Answer {
    restore_at(app, &format!("{path}/restore")).await
}

async fn restore_at(app: &TestApp, path: &str) -> Answer {
    app.send(Method::POST, path, None).await
}

const TEAM: &str = "/v1/circles/team";

#[tokio::test]
async fn a_restored_agent_is_as_it_was_without_its_memberships() {
    on_both(async |app| {
        let body = json!({"name": "Ada", "skill_names": ["rust"], "status": "busy"});
        let created = app.post("/v1/agents", &body).await.created();
        let path = format!("/v1/agents/{}", created["id"]);
        app.a_circle("team").await;
        app.a_member("team", id(&created)).await;

        restore(app, &path).await.problem(409, "not_deleted");
        assert_eq!(app.get(&path).await.ok(), created);
        app.delete(&path).await.no_content();

        let (answer, statements) = app.statements(restore(app, &path)).await;
        let restored = answer.ok();
        assert_eq!(statements, 2);
        let mut expected = created.clone();
        expected["updated_at"] = restored["updated_at"].clone();
        assert_eq!(restored, expected);
        assert!(timestamp(&restored["updated_at"]) > timestamp(&created["updated_at"]));
        assert_eq!(app.get(&path).await.ok(), restored);
        assert_eq!(app.listed("/v1/agents", "name").await, ["Ada"]);

        let roster = app.get(TEAM).await.ok();
        assert_eq!(roster["members"], json!([]));
        app.a_member("team", id(&created)).await;
        restore(app, "/v1/agents/17")
            .await
            .problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn an_agent_is_restored_without_a_model_that_was_deleted_since() {
    on_both(async |app| {
        let provider = app.a_provider("p").await;
        let model = app.a_model(provider, "m").await;
        let path = format!("/v1/agents/{}", app.an_agent_on("Ada", model).await);
        app.delete(&path).await.no_content();
        app.delete(&format!("/v1/models/{model}"))
            .await
            .no_content();
        let restored = restore(app, &path).await.ok();
        assert_eq!(restored["model_id"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn a_restored_circle_is_stopped_and_has_the_members_it_had() {
    on_both(async |app| {
        let (stays, gone) = (app.an_agent("stays").await, app.an_agent("gone").await);
        let body = json!({"name": "team", "description": "Reviews.", "settings": {"a": 1}});
        app.post("/v1/circles", &body).await.created();
        app.a_member("team", stays).await;
        app.a_member("team", gone).await;
        app.post("/v1/circles/team/start", &json!({})).await;
        let before = app.get(TEAM).await.ok();
        app.delete(TEAM).await.no_content();
        app.delete(&format!("/v1/agents/{gone}")).await.no_content();

        let (answer, statements) = app.statements(restore(app, TEAM)).await;
        let restored = answer.ok();
        assert_eq!(statements, 3);
        assert_holds(&restored, &body);
        let expected = json!({
            "id": before["id"], "status": "stopped", "is_active": true, "member_count": 1,
            "started_at": before["started_at"], "created_at": before["created_at"]
        });
        assert_holds(&restored, &expected);
        let roster = app.get(TEAM).await.ok();
        assert_eq!(roster["updated_at"], restored["updated_at"]);
        assert_eq!(roster["members"][0], before["members"][0]);
        assert_eq!(roster["members"][1], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn the_circle_of_a_name_that_was_deleted_last_is_the_one_restored() {
    on_both(async |app| {
        let mut ids = Vec::new();
        for _ in 0..2 {
            ids.push(id(&app.a_circle("team").await));
            app.delete(TEAM).await.no_content();
        }
        let restored = restore(app, TEAM).await.ok();
        assert_eq!(id(&restored), ids[1]);
        restore(app, TEAM).await.problem(409, "circle_name_taken");
        assert_eq!(id(&app.get(TEAM).await.ok()), ids[1]);

        let renamed = json!({"name": "second"});
        app.patch(TEAM, &renamed).await.ok();
        let restored = restore(app, TEAM).await.ok();
        assert_eq!(id(&restored), ids[0]);
        assert_eq!(app.total("/v1/circles").await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_circle_that_is_live_or_never_was_is_not_restored() {
    on_both(async |app| {
        restore(app, TEAM).await.problem(404, "not_found");
        app.a_circle("team").await;
        let before = app.get(TEAM).await.ok();
        restore(app, TEAM).await.problem(409, "not_deleted");
        assert_eq!(app.get(TEAM).await.ok(), before);

        app.delete(TEAM).await.no_content();
        app.a_circle("team").await;
        restore(app, TEAM).await.problem(409, "circle_name_taken");
    })
    .await;
}

#[tokio::test]
async fn the_memberships_that_a_deletion_ended_are_listed_and_return_on_request() {
    on_both(async |app| {
        let agent = app.an_agent("Ada").await;
        let path = format!("/v1/agents/{agent}");
        for circle in ["left", "team", "gone"] {
            app.a_circle(circle).await;
            let body = json!({"agent_id": agent, "role": "lead", "permissions": {"a": 1}});
            let members = format!("/v1/circles/{circle}/members");
            app.post(&members, &body).await.created();
        }
        let left = format!("/v1/circles/left/members/{agent}");
        app.delete(&left).await.no_content();
        let before = app.get(TEAM).await.ok();
        app.delete(&path).await.no_content();
        app.delete("/v1/circles/gone").await.no_content();
        assert_eq!(app.get(TEAM).await.ok()["members"], json!([]));

        let (answer, statements) = app
            .statements(restore_at(app, &format!("{path}/restore?memberships=true")))
            .await;
        answer.ok();
        assert_eq!(statements, 5);
        let after = app.get(TEAM).await.ok();
        assert_eq!(
            after["members"][0]["membership"],
            before["members"][0]["membership"]
        );
        assert_eq!(
            (&after["member_count"], &after["members"][0]["role"]),
            (&json!(1), &before["members"][0]["role"])
        );
        let circles = |query: &str| {
            let path = format!("{path}/circles{query}");
            async move { app.get(&path).await.ok()["data"].clone() }
        };
        let active = circles("").await;
        assert_eq!(active.as_array().map(Vec::len), Some(1));
        let all = circles("?include_inactive=true").await;
        let names = [&all[0]["circle"]["name"], &all[1]["circle"]["name"]];
        assert_eq!(names, ["left", "team"]);
        assert_eq!(all[0]["membership"]["is_active"], false);
        restore(app, "/v1/circles/gone").await.ok();
        assert_eq!(app.get("/v1/circles/gone").await.ok()["member_count"], 1);
        let entries = app
            .get("/v1/audit?action=restore&resource=member")
            .await
            .ok();
        let names = app
            .listed("/v1/audit?action=restore&resource=member&order=asc", "name")
            .await;
        assert_eq!(
            names,
            [format!("team/{agent}"), format!("gone/{agent}")],
            "{entries}"
        );
    })
    .await;
}

#[tokio::test]
async fn an_agent_does_not_return_to_a_circle_that_is_full_since() {
    on_both(async |app| {
        let (agent, other) = (app.an_agent("Ada").await, app.an_agent("Bob").await);
        app.post("/v1/circles", &json!({"name": "team", "max_members": 1}))
            .await
            .created();
        app.a_member("team", agent).await;
        let path = format!("/v1/agents/{agent}");
        app.delete(&path).await.no_content();
        app.a_member("team", other).await;
        let with_memberships = format!("{path}/restore?memberships=true");
        restore_at(app, &with_memberships)
            .await
            .problem(409, "circle_full");
        app.get(&path).await.problem(404, "not_found");
        restore(app, &path).await.ok();
        restore_at(app, &with_memberships)
            .await
            .problem(409, "not_deleted");
        let ended = format!("{path}/circles?include_inactive=true");
        assert_eq!(
            app.get(&ended).await.ok()["data"][0]["circle"]["name"],
            "team"
        );
    })
    .await;
}
