//! API keys: creating, listing and revoking them, and what responses reveal.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use entity::api_key;
use reqwest::Method;
use sea_orm::{ConnectionTrait, EntityTrait};
use serde_json::{Value, json};

use test_support::{
    Answer, Backend, TestApp,
    factories::{column, timestamp},
    keys::TestKey,
    on_both, on_both_databases,
};

#[tokio::test]
async fn a_key_s_token_is_told_once_and_kept_nowhere() {
    on_both(async |app| {
        let body = json!({"name": "ci", "scopes": ["write", "read", "write"]});
        let answer = app.post("/v1/keys", &body).await;
        assert_eq!(answer.header("location"), "/v1/keys/1");
        let created = answer.created();
        let token = created["token"].as_str().expect("a token").to_owned();
        assert!(token.starts_with("crk_1_") && token.len() == "crk_1_".len() + 50);
        assert_eq!(created["key"]["scopes"], json!(["read", "write"]));
        assert_eq!(created["key"]["expires_at"], Value::Null);

        let kept = stored_keys(app).await;
        assert!(
            kept.contains("ci") && !kept.contains(&token[6..50]),
            "{kept}"
        );
        let admin = TestKey::of(&created);
        let answer = app.get_with("/v1/keys/1", &admin.token).await;
        answer.problem(403, "forbidden");
    })
    .await;
}

/// All that the database stores about keys.
async fn stored_keys(app: &TestApp) -> String {
    let rows = api_key::Entity::find().all(app.database.connection());
    format!("{:?}", rows.await.expect("rows"))
}

#[tokio::test]
async fn keys_are_listed_got_and_revoked_and_stay_in_the_list() {
    on_both(async |app| {
        let admin = app.first_key().await;
        let reader = app.key_by(&admin, &["read"]).await;
        app.get_with("/v1/circles", &reader.token).await.ok();

        let path = format!("/v1/keys/{}", reader.id);
        for _ in 0..2 {
            let answer = app.ask(Method::DELETE, &path, None, &admin.token).await;
            answer.no_content();
            let answer = app.get_with("/v1/circles", &reader.token).await;
            answer.problem(401, "unauthenticated");
        }
        let row = app.get_with(&path, &admin.token).await.ok();
        let revoked = timestamp(&row["revoked_at"]);
        assert!(revoked <= Utc::now() && revoked >= timestamp(&row["created_at"]));
        assert!(row.get("token").is_none() && row.get("secret_hash").is_none());

        let page = app.get_with("/v1/keys?limit=1&count=true", &admin.token);
        let page = page.await.ok();
        assert_eq!(
            (column(&page, "id"), &page["total"]),
            (vec![&json!(1)], &json!(2))
        );
        let cursor = page["next_cursor"].as_str().expect("a cursor");
        let path = format!("/v1/keys?cursor={cursor}");
        let page = app.get_with(&path, &admin.token).await.ok();
        assert_eq!(column(&page, "name"), [&json!("read")]);

        for method in [Method::GET, Method::DELETE] {
            let answer = app.ask(method, "/v1/keys/99", None, &admin.token).await;
            answer.problem(404, "not_found");
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_ends_when_it_was_said_to() {
    on_both(async |app| {
        let admin = app.first_key().await;
        let at = |time: chrono::DateTime<Utc>| {
            let body = json!({"name": "short", "scopes": ["read"], "expires_at": time});
            let app = &app;
            let token = &admin.token;
            async move { app.ask(Method::POST, "/v1/keys", Some(&body), token).await }
        };
        let answer = at(Utc::now() - TimeDelta::seconds(1)).await;
        answer.invalid(&["#/expires_at"]);
        let short = TestKey::of(&at(Utc::now() + TimeDelta::seconds(2)).await.created());
        let path = format!("/v1/keys/{}", short.id);
        let row = app.get_with(&path, &admin.token).await.ok();
        let ends = timestamp(&row["expires_at"]);
        loop {
            let asked = Utc::now();
            let answer = app.get_with("/v1/circles", &short.token).await;
            if answer.status == 200 {
                assert!(asked < ends, "a key outlives its end");
                tokio::time::sleep(Duration::from_millis(50)).await;
            } else {
                answer.problem(401, "unauthenticated");
                assert!(Utc::now() >= ends, "a key dies before its end");
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_that_makes_no_sense_is_refused() {
    on_both(async |app| {
        for (body, pointers) in [
            (json!({}), vec!["#/name", "#/scopes"]),
            (
                json!({"name": "", "scopes": []}),
                vec!["#/name", "#/scopes"],
            ),
            (json!({"name": "x", "scopes": ["root"]}), vec!["#/scopes/0"]),
            (
                json!({"name": "x", "scopes": ["read"], "expires_at": "soon"}),
                vec!["#/expires_at"],
            ),
            (
                json!({"name": "x", "scopes": ["read"], "token": "x"}),
                vec!["#/token"],
            ),
        ] {
            app.post("/v1/keys", &body).await.invalid(&pointers);
        }
        assert_eq!(app.total("/v1/keys").await, 0, "and no key is needed yet");
    })
    .await;
}

#[tokio::test]
async fn an_idempotency_key_is_refused_where_the_answer_is_a_secret() {
    on_both(async |app| {
        let body = json!({"name": "x", "scopes": ["admin"]});
        let request = app.request(Method::POST, "/v1/keys").json(&body);
        let answer = Answer::to(request.header("idempotency-key", "once")).await;
        answer.invalid(&["header/Idempotency-Key"]);
        assert_eq!(app.total("/v1/keys").await, 0);
    })
    .await;
}

#[tokio::test]
async fn what_one_key_did_is_not_replayed_to_another() {
    on_both(async |app| {
        let admin = app.first_key().await;
        let other = app.key_by(&admin, &["write"]).await;
        let post = async |key: &TestKey| {
            let request = app.request(Method::POST, "/v1/agents");
            let request = request.bearer_auth(&key.token).json(&json!({"name": "a"}));
            Answer::to(request.header("idempotency-key", "once")).await
        };
        let first = post(&admin).await;
        assert_eq!(post(&admin).await.header("idempotency-replayed"), "true");
        let second = post(&other).await;
        assert_eq!(second.header("idempotency-replayed"), "");
        assert_ne!(second.created()["id"], first.created()["id"]);
    })
    .await;
}

#[tokio::test]
async fn the_last_use_is_written_at_most_once_a_minute() {
    on_both(async |app| {
        let key = app.first_key().await;
        let noted = timestamp(&app.use_is_recorded(&key).await["last_used_at"]);
        assert!(Utc::now() - noted < TimeDelta::minutes(1));
        for _ in 0..5 {
            app.get_with("/v1/circles", &key.token).await.ok();
        }
        let row = app.use_is_recorded(&key).await;
        assert_eq!(timestamp(&row["last_used_at"]), noted);
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_revoked_on_one_instance_is_of_no_use_on_the_others_at_once() {
    on_both_databases(async |database| {
        let one = TestApp::start(database.backend, database.settings()).await;
        let other = TestApp::start(database.backend, database.settings()).await;
        let admin = one.first_key().await;
        for _ in 0..20 {
            let key = one.key_by(&admin, &["read"]).await;
            other.get_with("/v1/circles", &key.token).await.ok();
            let path = format!("/v1/keys/{}", key.id);
            let answer = one.ask(Method::DELETE, &path, None, &admin.token).await;
            answer.no_content();
            let answer = other.get_with("/v1/circles", &key.token).await;
            answer.problem(401, "unauthenticated");
        }
        one.stop().await;
        other.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_time_is_kept_to_the_microsecond_and_a_leap_second_is_the_next_second() {
    on_both(async |app| {
        let admin = app.first_key().await;
        let post = async |time: &str| {
            let body = json!({"name": "k", "scopes": ["read"], "expires_at": time});
            app.ask(Method::POST, "/v1/keys", Some(&body), &admin.token)
                .await
        };
        for (sent, kept) in [
            (
                "2099-01-02T03:04:05.123456789Z",
                "2099-01-02T03:04:05.123456Z",
            ),
            ("2099-01-02T03:04:05.000000999Z", "2099-01-02T03:04:05Z"),
            (
                "2099-01-02T03:04:05.9999999Z",
                "2099-01-02T03:04:05.999999Z",
            ),
            ("2099-06-30T23:59:60Z", "2099-07-01T00:00:00Z"),
            ("2099-06-30T23:59:60.25Z", "2099-07-01T00:00:00.250Z"),
            ("2099-07-01T01:59:60+02:00", "2099-07-01T00:00:00Z"),
            ("2099-01-02T03:04:05.1+00:00", "2099-01-02T03:04:05.100Z"),
        ] {
            let created = post(sent).await.created();
            assert_eq!(created["key"]["expires_at"], kept, "{sent}");
            let path = format!("/v1/keys/{}", created["key"]["id"]);
            assert_eq!(
                app.get_with(&path, &admin.token).await.ok()["expires_at"],
                kept,
                "{sent}"
            );
        }
        post("9999-12-31T23:59:60Z")
            .await
            .invalid(&["#/expires_at"]);
    })
    .await;
}

#[tokio::test]
async fn a_filter_by_time_finds_the_same_on_both_databases_whatever_its_digits() {
    on_both(async |app| {
        app.an_agent("a").await;
        let db = app.database.connection();
        let time = match app.backend {
            Backend::Sqlite => "'2026-06-30T23:59:59.123456+00:00'",
            Backend::Postgres => "timestamptz '2026-06-30T23:59:59.123456+00:00'",
        };
        for sql in [
            format!("UPDATE agents SET updated_at = {time}"),
            format!(
                "INSERT INTO audit_entries (at, action, resource, resource_id) \
                 VALUES ({time}, 'probe', 'agent', 1)"
            ),
        ] {
            db.execute_unprepared(&sql).await.expect("a time");
        }
        for (time, later) in [
            ("2026-06-30T23:59:59.123456Z", 1),
            ("2026-06-30T23:59:59.123456789Z", 1),
            ("2026-06-30T23:59:59.123457Z", 0),
            ("2026-06-30T23:59:60Z", 0),
        ] {
            assert_eq!(
                app.total(&format!("/v1/agents?updated_since={time}")).await,
                later,
                "{time}"
            );
            assert_eq!(
                app.total(&format!("/v1/audit?action=probe&since={time}"))
                    .await,
                later,
                "{time}"
            );
            assert_eq!(
                app.total(&format!("/v1/audit?action=probe&until={time}"))
                    .await,
                1 - later,
                "{time}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_finds_out_which_key_it_has_and_a_runtime_which_circles_there_are() {
    on_both(async |app| {
        app.get("/v1/keys/self").await.problem(404, "not_found");
        for name in ["one", "two", "gone"] {
            app.a_circle(name).await;
        }
        app.delete("/v1/circles/gone").await.no_content();
        let admin = app.first_key().await;
        for scope in ["read", "write", "publish", "admin", "handles"] {
            let key = app.key_by(&admin, &[scope]).await;
            let own = app
                .ask(Method::GET, "/v1/keys/self", None, &key.token)
                .await
                .ok();
            assert_eq!(
                (&own["id"], &own["scopes"]),
                (&json!(key.id), &json!([scope]))
            );
            assert!(own.get("token").is_none() && own.get("secret_hash").is_none());
            let path = "/v1/handles/circles?limit=1&count=true";
            let listed = app.ask(Method::GET, path, None, &key.token).await;
            if ["read", "write", "publish"].contains(&scope) {
                listed.problem(403, "forbidden");
                continue;
            }
            let page = listed.ok();
            assert_eq!(page["total"], 2);
            let expected =
                json!({"id": 1, "name": "one", "display_name": null, "status": "stopped"});
            assert_eq!(page["data"], json!([expected]));
        }
    })
    .await;
}
