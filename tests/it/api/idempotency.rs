//! `Idempotency-Key`: a repeated POST gets the stored response, and is not executed again.

use reqwest::Method;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use test_support::{Answer, Backend, TestApp, on_both};

async fn post(app: &TestApp, path: &str, key: &str, body: Option<&Value>) -> Answer {
    let mut request = app
        .request(Method::POST, path)
        .header("idempotency-key", key);
    if let Some(body) = body {
        request = request.json(body);
    }
    Answer::to(request).await
}

/// A POST for every resource, in an order in which they succeed.
fn posts() -> Vec<(&'static str, Option<Value>)> {
    vec![
        (
            "/v1/providers",
            Some(json!({"name": "p", "api_type": "openai"})),
        ),
        (
            "/v1/models",
            Some(json!({"provider_id": 1, "model_name": "m"})),
        ),
        ("/v1/agents", Some(json!({"name": "a", "model_id": 1}))),
        ("/v1/circles", Some(json!({"name": "team"}))),
        ("/v1/circles/team/members", Some(json!({"agent_id": 1}))),
        (
            "/v1/circles/team/members:batch",
            Some(json!({"operations": [{"op": "remove", "agent_id": 1}]})),
        ),
        ("/v1/circles/team/start", None),
        ("/v1/circles/team/stop", None),
        ("/v1/conversations", Some(json!({"topic": "t"}))),
        (
            "/v1/conversations/1/participants",
            Some(json!({"agent_id": 1})),
        ),
        (
            "/v1/conversations/1/messages",
            Some(json!({"content": "x"})),
        ),
    ]
}

#[tokio::test]
async fn a_post_sent_again_is_answered_again_and_not_done_again() {
    on_both(async |app| {
        for (path, body) in posts() {
            let first = post(app, path, "key-1", body.as_ref()).await;
            assert!(matches!(first.status, 200 | 201), "{path}: {}", first.text);
            assert_eq!(first.header("idempotency-replayed"), "");
            let second = post(app, path, "key-1", body.as_ref()).await;
            assert_eq!(
                (second.status, &second.text),
                (first.status, &first.text),
                "{path}"
            );
            for header in ["location", "etag", "content-type"] {
                assert_eq!(
                    second.header(header),
                    first.header(header),
                    "{path}: {header}"
                );
            }
            assert_eq!(second.header("idempotency-replayed"), "true", "{path}");
        }
        for list in ["providers", "models", "agents", "circles", "conversations"] {
            assert_eq!(app.total(&format!("/v1/{list}")).await, 1, "{list}");
        }
        assert_eq!(app.total("/v1/conversations/1/messages").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_key_stands_for_one_body_at_one_path() {
    on_both(async |app| {
        let one = json!({"name": "one"});
        let created = post(app, "/v1/agents", "key", Some(&one)).await.created();
        let other = json!({"name": "other"});
        post(app, "/v1/agents", "key", Some(&other))
            .await
            .invalid(&["header/Idempotency-Key"]);
        post(app, "/v1/circles", "key", Some(&one)).await.created();
        let again = post(app, "/v1/agents", "another", Some(&one))
            .await
            .created();
        assert_ne!(again["id"], created["id"]);
        for key in ["", "with space", "ünsound", &"x".repeat(256)] {
            post(app, "/v1/agents", key, Some(&one))
                .await
                .invalid(&["header/Idempotency-Key"]);
        }
        post(app, "/v1/agents", &"x".repeat(255), Some(&one))
            .await
            .created();
        assert_eq!(app.total("/v1/agents").await, 3);
    })
    .await;
}

#[tokio::test]
async fn what_was_refused_is_not_kept() {
    on_both(async |app| {
        let model = json!({"provider_id": 1, "model_name": "m"});
        post(app, "/v1/models", "key", Some(&model))
            .await
            .invalid(&["#/provider_id"]);
        app.a_provider("p").await;
        post(app, "/v1/models", "key", Some(&model)).await.created();
    })
    .await;
}

#[tokio::test]
async fn of_many_at_once_one_is_done_and_the_others_wait_or_hear_of_it() {
    on_both(async |app| {
        let body = json!({"name": "one"});
        let races = (0..12).map(|_| post(app, "/v1/agents", "key", Some(&body)));
        let answers = futures_util::future::join_all(races).await;
        for answer in answers {
            match answer.status {
                201 => assert_eq!(answer.created()["id"], 1),
                _ => drop(answer.problem(409, "idempotency_in_progress")),
            }
        }
        assert_eq!(app.total("/v1/agents").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_free_again_after_a_day() {
    on_both(async |app| {
        let body = json!({"name": "one"});
        post(app, "/v1/agents", "old", Some(&body)).await.created();
        let yesterday = match app.backend {
            Backend::Sqlite => "'2020-01-01T00:00:00+00:00'",
            Backend::Postgres => "now() - interval '24 hours 1 second'",
        };
        let age = format!("UPDATE idempotency_keys SET created_at = {yesterday}");
        let db = app.database.connection();
        db.execute_unprepared(&age).await.expect("an old key");
        let again = post(app, "/v1/agents", "old", Some(&body)).await;
        assert_eq!(again.header("idempotency-replayed"), "");
        assert_eq!(again.created()["id"], 2);
    })
    .await;
}

#[tokio::test]
async fn a_key_stands_for_one_query_too() {
    on_both(async |app| {
        app.an_agent("a").await;
        app.a_circle("team").await;
        let path = "/v1/circles/team/members:batch";
        let body = json!({"operations": [{"op": "add", "agent_id": 1}]});
        let send = async |key: &str, query: &str| {
            post(app, &format!("{path}{query}"), key, Some(&body)).await
        };
        let first = send("k", "?partial=true").await.ok();
        let again = send("k", "?partial=true").await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.ok(), first);
        // A request that was refused holds no lock on the key when it is answered.
        for query in ["", "?partial=false"].repeat(10) {
            let wrong = send("k", query).await.invalid(&["header/Idempotency-Key"]);
            assert_eq!(
                wrong["errors"][0]["detail"],
                "was used with another body or query"
            );
        }
        let remove = json!({"operations": [{"op": "remove", "agent_id": 1}]});
        post(app, path, "l", Some(&remove)).await.ok();
        for query in ["?partial=true", "?partial=false"] {
            let wrong = post(app, &format!("{path}{query}"), "l", Some(&remove)).await;
            wrong.invalid(&["header/Idempotency-Key"]);
        }
        let again = post(app, &format!("{path}?"), "l", Some(&remove)).await;
        assert_eq!(again.header("idempotency-replayed"), "true");
    })
    .await;
}
