//! Expired idempotency keys: they are deleted a hundred at a time, whatever the backlog.

use std::time::{Duration, Instant};

use reqwest::Method;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, TransactionTrait};
use serde_json::json;

use test_support::{
    Answer, Backend, TestApp, TestDatabase, connect_to, faults::usually_or_in_full,
    on_both_databases,
};

/// The most keys that one request deletes.
const BATCH: i64 = 100;

async fn post(app: &TestApp, key: &str) -> Answer {
    let request = app.request(Method::POST, "/v1/agents");
    let request = request.header("idempotency-key", key);
    Answer::to(request.json(&json!({"name": "one"}))).await
}

async fn count(db: &DatabaseConnection, condition: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM idempotency_keys WHERE {condition}");
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await.expect("a count");
    row.expect("a row").try_get_by_index(0).expect("a number")
}

/// Inserts keys that expired long ago, each a second younger than the one before it.
async fn insert_expired(db: &DatabaseConnection, backend: Backend, keys: u32) {
    let (limits, numbers, at) = match backend {
        Backend::Sqlite => (
            "",
            format!(
                "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers \
                 WHERE n < {keys}) SELECT n FROM numbers"
            ),
            "strftime('%Y-%m-%dT%H:%M:%S+00:00', '2020-01-01', n || ' seconds')",
        ),
        Backend::Postgres => (
            "SET statement_timeout = 0;",
            format!("SELECT n FROM generate_series(1, {keys}) AS n"),
            "timestamptz '2020-01-01 00:00:00+00' + n * interval '1 second'",
        ),
    };
    let sql = format!(
        "{limits} INSERT INTO idempotency_keys \
         (caller, method, path, key, digest, status, body, created_at) \
         SELECT 'anyone', 'POST', '/v1/agents', 'old-' || n, 'digest', 201, '{{}}', {at} \
         FROM ({numbers}) AS numbers"
    );
    db.execute_unprepared(&sql).await.expect("many keys");
}

async fn with_expired(
    database: &TestDatabase,
    keys: u32,
    test: impl AsyncFn(&TestApp, &DatabaseConnection),
) {
    let app = TestApp::start(database.backend, database.settings()).await;
    let db = connect_to(&database.url).await;
    insert_expired(&db, database.backend, keys).await;
    test(&app, &db).await;
    db.close().await.expect("closed");
    app.stop().await;
}

#[tokio::test]
async fn a_backlog_of_expired_keys_shrinks_by_a_hundred_a_request_and_delays_none() {
    const REQUESTS: i64 = 20;
    on_both_databases(async |database| {
        let keys = usually_or_in_full(300_000, 1_000_000);
        with_expired(database, keys, async |app, db| {
            for number in 1..=REQUESTS {
                let started = Instant::now();
                post(app, &format!("new-{number}")).await.created();
                let elapsed = started.elapsed();
                assert!(elapsed < Duration::from_secs(1), "{elapsed:?}");
                let expired = i64::from(keys) - number * BATCH;
                assert_eq!(count(db, "key LIKE 'old-%'").await, expired);
            }
            let deleted = format!("key LIKE 'old-%' AND id <= {}", REQUESTS * BATCH);
            assert_eq!(count(db, &deleted).await, 0, "the oldest first");
            assert_eq!(count(db, "key LIKE 'new-%'").await, REQUESTS);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn an_expired_key_is_free_even_while_older_ones_are_still_there() {
    on_both_databases(async |database| {
        with_expired(database, 1000, async |app, db| {
            let first = post(app, "old-1000").await;
            assert_eq!(first.header("idempotency-replayed"), "");
            let second = post(app, "old-1000").await;
            assert_eq!(second.header("idempotency-replayed"), "true");
            assert_eq!(first.created(), second.created());
            assert_eq!(count(db, "key = 'old-1000'").await, 1);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn keys_that_another_request_is_deleting_are_passed_over() {
    let database = TestDatabase::create(Backend::Postgres).await;
    with_expired(&database, 1000, async |app, db| {
        let other = db.begin().await.expect("a transaction");
        let lock = "SELECT 1 FROM idempotency_keys WHERE id <= 100 FOR UPDATE";
        other.execute_unprepared(lock).await.expect("the oldest");
        post(app, "new").await.created();
        other.rollback().await.expect("the end of it");
        assert_eq!(count(db, "key LIKE 'old-%' AND id <= 100").await, BATCH);
        assert_eq!(count(db, "key LIKE 'old-%'").await, 900);
    })
    .await;
    database.remove().await;
}

#[tokio::test]
async fn the_oldest_keys_are_found_by_an_index() {
    on_both_databases(async |database| {
        with_expired(database, 5000, async |_, db| {
            let oldest = "SELECT id FROM idempotency_keys WHERE created_at <= '2021-01-01' \
                          ORDER BY created_at LIMIT 100";
            let (sql, column) = match database.backend {
                Backend::Sqlite => (format!("EXPLAIN QUERY PLAN {oldest}"), "detail"),
                Backend::Postgres => (
                    format!("EXPLAIN {oldest} FOR UPDATE SKIP LOCKED"),
                    "QUERY PLAN",
                ),
            };
            let statement = Statement::from_string(db.get_database_backend(), sql);
            let plan = db.query_all_raw(statement).await.expect("a plan");
            let plan: Vec<String> = plan
                .iter()
                .map(|row| row.try_get("", column).expect("a line"))
                .collect();
            assert!(plan.join(" ").contains("idempotency_keys_age"), "{plan:?}");
        })
        .await;
    })
    .await;
}
