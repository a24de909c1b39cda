//! Releases of circles.

mod diffs;
mod labels;
mod protection;
mod random;
mod reads;

use reqwest::Method;
use serde_json::{Value, json};

use super::mcp_servers::a_server;
use test_support::{
    Answer, TestApp,
    factories::{assert_holds, id},
    on_both,
};

pub(super) const RELEASES: &str = "/v1/circles/team/releases";

/// A circle with one agent that has a model and a tool of a server.
pub(super) async fn a_team(app: &TestApp) -> i64 {
    let provider = app.a_provider("acme").await;
    let model = app.a_model(provider, "m").await;
    a_server(app, "git").await;
    let agent = json!({
        "name": "Ada", "model_id": model, "system_prompt": "You lead.\nBe kind.\n",
        "tools": [{"type": "mcp", "server": "git"}],
    });
    let agent = id(&app.post("/v1/agents", &agent).await.created());
    app.a_circle("team").await;
    app.a_member("team", agent).await;
    agent
}

/// Publishes, and returns the release.
pub(super) async fn publish(app: &TestApp, body: Value) -> Value {
    let answer = app.post(RELEASES, &body).await;
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
    answer.body
}

/// Changes the agent's prompt.
pub(super) async fn edit(app: &TestApp, agent: i64, prompt: &str) {
    let path = format!("/v1/agents/{agent}");
    let body = json!({"system_prompt": format!("You lead.\n{prompt}\n")});
    app.patch(&path, &body).await.ok();
}

pub(super) async fn point(app: &TestApp, label: &str, release: i64) -> Answer {
    let path = format!("/v1/circles/team/labels/{label}");
    let body = json!({"release": release});
    app.send(Method::PUT, &path, Some(&body)).await
}

#[tokio::test]
async fn a_release_is_published_once_and_found_again_by_its_digest() {
    on_both(async |app| {
        let agent = a_team(app).await;
        let answer = app.post(RELEASES, &json!({"message": "The first."})).await;
        assert_eq!(answer.header("location"), "/v1/circles/team/releases/1");
        let tag = answer.header("etag").to_owned();
        let first = answer.created();
        let expected = json!({"number": 1, "message": "The first.", "key_id": null, "labels": []});
        assert_holds(&first, &expected);

        let again = app.post(RELEASES, &json!({"message": "Another."})).await;
        assert_eq!(
            (again.header("location"), again.header("etag")),
            ("", &*tag)
        );
        assert_eq!(again.ok(), first);

        edit(app, agent, "Be brief.").await;
        let second = app.post(RELEASES, &json!({})).await.created();
        assert_holds(&second, &json!({"number": 2, "message": null}));
        assert_ne!(second["digest"], first["digest"]);
        let listed = app.get(RELEASES).await.ok();
        assert_eq!(listed["data"], json!([second, first]));
        let mut shown = app.get(&format!("{RELEASES}/1")).await;
        assert_eq!(shown.header("etag"), tag);
        let team = shown.body["team"].take();
        shown
            .body
            .as_object_mut()
            .expect("a release")
            .remove("team");
        assert_eq!(shown.ok(), first);
        assert_eq!(team["circle"]["name"], "team");
        for (part, field, value) in [
            ("members", "agent_id", json!(agent)),
            ("agents", "system_prompt", json!("You lead.\nBe kind.\n")),
            ("agents", "version", json!(1)),
            ("models", "model_name", json!("m")),
            ("providers", "name", json!("acme")),
            ("mcp_servers", "name", json!("git")),
        ] {
            assert_eq!(team[part][0][field], value, "{part}");
            assert_eq!(team[part].as_array().map(Vec::len), Some(1), "{part}");
        }
    })
    .await;
}

/// What is at work, when it was changed and who may publish it is not what it is.
#[tokio::test]
async fn state_makes_no_release() {
    on_both(async |app| {
        let agent = a_team(app).await;
        publish(app, json!({})).await;
        let path = format!("/v1/agents/{agent}");
        app.patch(&path, &json!({"status": "busy"})).await.ok();
        let start = "/v1/circles/team/start";
        app.send(Method::POST, start, None).await.ok();
        let protect = json!({"protected_labels": ["production"]});
        app.patch("/v1/circles/team", &protect).await.ok();
        let member = format!("/v1/circles/team/members/{agent}");
        app.delete(&member).await.no_content();
        app.a_member("team", agent).await;
        assert_eq!(publish(app, json!({})).await["number"], 1);
        // Settings of the same names are not state.
        let settings = json!({"settings": {"status": 1, "warnings": []}});
        app.patch("/v1/circles/team", &settings).await.ok();
        assert_eq!(publish(app, json!({})).await["number"], 2);
        let settings = json!({"settings": {"status": 2, "warnings": []}});
        app.patch("/v1/circles/team", &settings).await.ok();
        assert_eq!(publish(app, json!({})).await["number"], 3);
    })
    .await;
}

#[tokio::test]
async fn labels_are_moved_in_the_transaction_that_publishes() {
    on_both(async |app| {
        let agent = a_team(app).await;
        let labels = json!({"labels": ["staging", "beta"]});
        let first = publish(app, labels.clone()).await;
        assert_eq!(first["labels"], json!(["beta", "staging"]));
        edit(app, agent, "Be brief.").await;
        let second = publish(app, json!({"labels": ["staging"]})).await;
        assert_eq!(second["labels"], json!(["staging"]));
        let listed = app.listed(RELEASES, "labels").await;
        assert_eq!(listed, [json!(["staging"]), json!(["beta"])]);
        edit(app, agent, "Be kind.").await;
        // Version 3 of the agent is another one than version 1, so this is another release.
        assert_eq!(publish(app, labels).await["number"], 3);

        edit(app, agent, "Be quick.").await;
        for (body, place) in [
            (json!({"labels": ["live"]}), "#/labels/0"),
            (json!({"labels": ["a", "7"]}), "#/labels/1"),
            (json!({"labels": ["a b"]}), "#/labels/0"),
            (json!({"labels": ["x".repeat(65)]}), "#/labels/0"),
            (json!({"message": ""}), "#/message"),
            (json!({"message": "x".repeat(2001)}), "#/message"),
        ] {
            app.post(RELEASES, &body).await.invalid(&[place]);
        }
        assert_eq!(app.total(RELEASES).await, 3);
    })
    .await;
}

#[tokio::test]
async fn a_release_stands_when_all_that_it_shows_is_gone() {
    on_both(async |app| {
        let agent = a_team(app).await;
        publish(app, json!({"labels": ["production"]})).await;
        let path = format!("{RELEASES}/1");
        let labelled = "/v1/circles/team/handles?label=production";
        let (release, handles) = (app.get(&path).await, app.get(labelled).await);
        app.delete(&format!("/v1/agents/{agent}"))
            .await
            .no_content();
        app.delete("/v1/mcp-servers/1").await.no_content();
        app.delete("/v1/providers/1?cascade=true")
            .await
            .no_content();
        assert_eq!(app.get(&path).await.text, release.text);
        assert_eq!(app.get(labelled).await.text, handles.text);
        assert_eq!(app.get(&format!("{path}/handles")).await.text, handles.text);

        app.delete("/v1/circles/team").await.no_content();
        app.get(&path).await.problem(404, "not_found");
        app.get(labelled).await.problem(404, "not_found");
        app.a_circle("team").await;
        app.get(&path).await.problem(404, "not_found");
        app.patch("/v1/circles/team", &json!({"name": "other"}))
            .await
            .ok();
        app.send(Method::POST, "/v1/circles/team/restore", None)
            .await
            .ok();
        assert_eq!(app.get(&path).await.text, release.text);
        assert_eq!(app.get(labelled).await.text, handles.text);
    })
    .await;
}

#[tokio::test]
async fn a_release_goes_unless_a_label_points_to_it_and_no_other_gets_its_number() {
    on_both(async |app| {
        let agent = a_team(app).await;
        publish(app, json!({"labels": ["production"]})).await;
        let path = format!("{RELEASES}/1");
        let problem = app.delete(&path).await.problem(409, "release_labelled");
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(detail.contains("production"), "{detail}");
        edit(app, agent, "Be brief.").await;
        publish(app, json!({"labels": ["production"]})).await;
        app.delete(&path).await.no_content();
        app.delete(&path).await.problem(404, "not_found");
        app.get(&path).await.problem(404, "not_found");
        app.get(&format!("{path}/handles"))
            .await
            .problem(404, "not_found");
        app.get(&format!("{path}/diff"))
            .await
            .problem(404, "not_found");
        point(app, "production", 1).await.invalid(&["#/release"]);

        app.delete("/v1/circles/team/labels/production")
            .await
            .no_content();
        app.delete(&format!("{RELEASES}/2")).await.no_content();
        assert_eq!(publish(app, json!({})).await["number"], 3);
    })
    .await;
}

#[tokio::test]
async fn there_are_no_releases_of_an_unknown_circle() {
    on_both(async |app| {
        let path = |rest: &str| format!("/v1/circles/nobody/{rest}");
        app.post(&path("releases"), &json!({}))
            .await
            .problem(404, "not_found");
        for rest in [
            "releases",
            "releases/1",
            "releases/1/handles",
            "releases/1/diff",
            "labels",
            "labels/a",
            "labels/a/history",
            "handles?label=a",
        ] {
            app.get(&path(rest)).await.problem(404, "not_found");
        }
        for rest in ["releases/1", "labels/a"] {
            app.delete(&path(rest)).await.problem(404, "not_found");
        }
    })
    .await;
}

#[tokio::test]
async fn a_repeated_publication_is_replayed() {
    on_both(async |app| {
        let agent = a_team(app).await;
        let send = async |key: &str| {
            let request = app
                .request(Method::POST, RELEASES)
                .header("idempotency-key", key);
            Answer::to(request.json(&json!({}))).await
        };
        let first = send("once").await.created();
        edit(app, agent, "Be brief.").await;
        let again = send("once").await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.created(), first);
        assert_eq!(send("twice").await.created()["number"], 2);
    })
    .await;
}
