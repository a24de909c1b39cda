//! Webhooks: the resource, where they may lead, and what is delivered.

mod addresses;
mod delivery;
mod failures;

use serde_json::{Value, json};

use test_support::{
    TestApp, TestDatabase,
    factories::id,
    on_both, on_both_databases,
    receiver::{Receiver, with_local_receivers},
};

const WEBHOOKS: &str = "/v1/webhooks";

/// A webhook that receives changes of agents, as it was created, with its secret.
async fn a_webhook(app: &TestApp, receiver: &Receiver) -> Value {
    let body = json!({"name": "w", "url": receiver.url(), "resources": ["agent"]});
    app.post(WEBHOOKS, &body).await.created()
}

fn path_of(created: &Value) -> String {
    format!("{WEBHOOKS}/{}", id(&created["webhook"]))
}

/// Runs a test with a service that delivers to this machine.
async fn with_receivers(test: impl AsyncFn(&TestApp, &TestDatabase)) {
    on_both_databases(async |database| {
        let settings = with_local_receivers(database.settings());
        let app = TestApp::start(database.backend, settings).await;
        test(&app, database).await;
        app.stop().await;
    })
    .await;
}

const ELSEWHERE: &str = "https://receiver.example/hook";

/// A webhook that is not delivered.
fn disabled() -> Value {
    json!({"name": "w", "url": ELSEWHERE, "is_enabled": false})
}

#[tokio::test]
async fn a_webhook_is_created_read_changed_and_deleted() {
    on_both(async |app| {
        let answer = app.post(WEBHOOKS, &disabled()).await;
        let etag = answer.header("etag").to_owned();
        assert_eq!(answer.header("location"), "/v1/webhooks/1");
        let created = answer.created();
        let webhook = &created["webhook"];
        assert_eq!(webhook["resources"], json!([]));
        for field in ["description", "circle_id", "paused_at", "pause_reason"] {
            assert_eq!(webhook[field], Value::Null, "{field}");
        }
        let path = path_of(&created);
        let read = app.get(&path).await;
        assert_eq!(read.header("etag"), etag);
        assert_eq!(read.ok(), *webhook);
        assert_eq!(app.listed(WEBHOOKS, "id").await, [webhook["id"].clone()]);
        assert_eq!(app.total(WEBHOOKS).await, 1);
        assert_eq!(app.get_if_none_match(&path, &etag).await.status, 304);

        let circle = app.a_circle("team").await;
        let change = json!({"description": "d", "circle_id": circle["id"], "actions": ["delete"]});
        let changed = app.patch_if_match(&path, &etag, change).await.ok();
        assert_eq!(changed["circle_id"], circle["id"]);
        assert_eq!(changed["actions"], json!(["delete"]));
        let cleared = app.patch(&path, &json!({"circle_id": null})).await.ok();
        assert_eq!(cleared["circle_id"], Value::Null);
        app.patch_if_match(&path, &etag, json!({"name": "x"}))
            .await
            .problem(412, "precondition_failed");
        app.patch(&path, &json!({"circle_id": 99}))
            .await
            .invalid(&["#/circle_id"]);

        app.delete_if_match(&path, &etag)
            .await
            .problem(412, "precondition_failed");
        app.delete(&path).await.no_content();
        for path in [path.clone(), format!("{path}/attempts")] {
            app.get(&path).await.problem(404, "not_found");
        }
        for action in ["secret", "resume", "test"] {
            let gone = app.post(&format!("{path}/{action}"), &Value::Null).await;
            gone.problem(404, "not_found");
        }
    })
    .await;
}

#[tokio::test]
async fn a_secret_is_shown_once_and_never_again() {
    on_both(async |app| {
        let created = app.post(WEBHOOKS, &disabled()).await.created();
        let path = path_of(&created);
        let rotated = app.request(reqwest::Method::POST, &format!("{path}/secret"));
        let rotated = test_support::Answer::to(rotated).await.ok();
        let secrets = [&created["secret"], &rotated["secret"]];
        let secrets = secrets.map(|secret| secret.as_str().expect("a secret").to_owned());
        assert_ne!(secrets[0], secrets[1]);
        assert!(
            secrets
                .iter()
                .all(|secret| secret.starts_with("whsec_") && secret.len() == 50)
        );
        assert!(rotated["webhook"]["previous_secret_until"].is_string());
        for path in [WEBHOOKS, &path, "/v1/audit", "/v1/changes", "/metrics"] {
            let text = app.get(path).await.text;
            assert!(!text.contains("whsec_"), "{path}: {text}");
            let keys = secrets.iter().map(|secret| &secret[6..]);
            assert!(!keys.into_iter().any(|key| text.contains(key)), "{path}");
        }
        let once = app
            .request(reqwest::Method::POST, WEBHOOKS)
            .header("idempotency-key", "k")
            .json(&disabled());
        let once = test_support::Answer::to(once).await;
        once.invalid(&["header/Idempotency-Key"]);
    })
    .await;
}

#[tokio::test]
async fn two_hundred_webhooks_are_the_most() {
    on_both(async |app| {
        let db = app.database.connection();
        let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) \
            INSERT INTO webhooks (name, url, is_enabled, secret, created_at, updated_at) \
            SELECT 'w', 'https://x.example', false, 'whsec_', '2026-01-02T03:04:05.000000+00:00', '2026-01-02T03:04:05.000000+00:00' FROM n";
        sea_orm::ConnectionTrait::execute_unprepared(db, fill).await.expect(fill);
        app.post(WEBHOOKS, &disabled()).await.problem(409, "too_many_webhooks");
        assert_eq!(app.total(WEBHOOKS).await, 200);
    })
    .await;
}

#[tokio::test]
async fn only_administrators_hear_of_webhooks() {
    on_both(async |app| {
        let admin = app.first_key().await;
        let publisher = app.key_by(&admin, &["publish", "handles"]).await;
        let ask = async |method, path: &str, body: Option<&Value>| {
            app.ask(method, path, body, &publisher.token).await
        };
        let new = disabled();
        let post = app.ask(reqwest::Method::POST, WEBHOOKS, Some(&new), &admin.token);
        post.await.created();
        for path in [
            WEBHOOKS,
            "/v1/webhooks/1",
            "/v1/webhooks/1/attempts",
            "/v1/changes?resource=webhook",
        ] {
            ask(reqwest::Method::GET, path, None)
                .await
                .problem(403, "forbidden");
        }
        for path in [
            "/v1/webhooks/1/test",
            "/v1/webhooks/1/secret",
            "/v1/webhooks/1/resume",
        ] {
            ask(reqwest::Method::POST, path, None)
                .await
                .problem(403, "forbidden");
        }
        let changes = ask(reqwest::Method::GET, "/v1/changes", None).await;
        assert!(!changes.text.contains("webhook"), "{}", changes.text);
    })
    .await;
}
