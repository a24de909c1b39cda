//! Locks that are held for too long, and statements that take too long, on PostgreSQL.

use std::time::{Duration, Instant};

use reqwest::Method;
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;

use test_support::{Answer, Backend, TestApp, TestDatabase, connect_to};

const LOCK_TIMEOUT: Duration = Duration::from_millis(400);

/// A service with an agent on a model and a circle; the test gets what holds a lock in the meantime.
async fn while_locked(
    lock: &str,
    set: impl Fn(&mut migration::settings::DatabaseSettings),
    test: impl AsyncFn(&TestApp),
) {
    let database = TestDatabase::create(Backend::Postgres).await;
    let mut settings = database.settings();
    set(&mut settings.database);
    let app = TestApp::start(database.backend, settings).await;
    app.a_circle("team").await;
    app.a_provider("acme").await;
    let model = json!({"provider_id": 1, "model_name": "m"});
    app.post("/v1/models", &model).await.created();
    let agent = json!({"name": "Ada", "model_id": 1});
    app.post("/v1/agents", &agent).await.created();
    let direct = connect_to(&database.url).await;
    let held = direct.begin().await.expect("a transaction");
    held.execute_unprepared(lock).await.expect("the lock");
    test(&app).await;
    held.rollback().await.expect("the end of it");
    let member = json!({"agent_id": 1});
    app.post("/v1/circles/team/members", &member)
        .await
        .created();
    direct.close().await.expect("closed");
    app.stop().await;
    database.remove().await;
}

fn short_lock_timeout(settings: &mut migration::settings::DatabaseSettings) {
    settings.db_lock_timeout = LOCK_TIMEOUT;
}

#[tokio::test]
async fn a_member_is_not_added_while_its_agent_is_locked_and_the_client_may_retry() {
    let lock = "SELECT id FROM agents FOR UPDATE";
    while_locked(lock, short_lock_timeout, async |app| {
        // In one statement, in a transaction, and with others.
        for (path, key, body) in [
            ("members", None, json!({"agent_id": 1})),
            ("members", Some("key"), json!({"agent_id": 1})),
            (
                "members:batch",
                None,
                json!({"operations": [{"op": "add", "agent_id": 1}]}),
            ),
        ] {
            let request = app.request(Method::POST, &format!("/v1/circles/team/{path}"));
            let mut request = request.json(&body);
            if let Some(key) = key {
                request = request.header("idempotency-key", key);
            }
            let started = Instant::now();
            let answer = Answer::to(request).await;
            assert_eq!(answer.header("retry-after"), "1", "{path}: {}", answer.text);
            answer.problem(503, "contended");
            let elapsed = started.elapsed();
            assert!(elapsed < 5 * LOCK_TIMEOUT, "{path}: {elapsed:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_member_is_added_while_its_model_changes() {
    let lock = "UPDATE models SET model_alias = 'new'";
    while_locked(lock, short_lock_timeout, async |app| {
        let agent = app.an_agent_on("Bob", 1).await;
        app.a_member("team", agent).await;
    })
    .await;
}

#[tokio::test]
async fn a_lock_that_is_held_for_too_long_is_told_as_contention() {
    let lock = "LOCK TABLE providers IN ACCESS EXCLUSIVE MODE";
    while_locked(lock, short_lock_timeout, async |app| {
        let change = json!({"config": {"a": 1}});
        let changed = app.patch("/v1/providers/1", &change).await;
        for answer in [changed, app.get("/v1/providers").await] {
            assert_eq!(answer.header("retry-after"), "1");
            answer.problem(503, "contended");
        }
    })
    .await;
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_told_so_and_not_to_be_retried() {
    let lock = "LOCK TABLE providers IN ACCESS EXCLUSIVE MODE";
    let short_statement_timeout = |settings: &mut migration::settings::DatabaseSettings| {
        settings.db_statement_timeout = Duration::from_millis(800);
        settings.db_lock_timeout = Duration::from_mins(1);
    };
    while_locked(lock, short_statement_timeout, async |app| {
        let change = json!({"config": {"a": 1}});
        let changed = app.patch("/v1/providers/1", &change).await;
        for answer in [changed, app.get("/v1/providers").await] {
            assert_eq!(answer.header("retry-after"), "");
            answer.problem(504, "too_slow");
        }
    })
    .await;
}
