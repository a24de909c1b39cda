//! Idle connections are kept for the next statement, and never keep a transaction from getting one.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::Value;

use test_support::{Backend, TestApp, TestDatabase, end_sessions_on, on_both_databases};

/// A service with few sessions and a short acquire timeout.
async fn start(database: &TestDatabase, sessions: u32) -> TestApp {
    let mut settings = database.settings();
    settings.database.db_pool_max = Some(sessions);
    settings.database.db_acquire_timeout = Duration::from_secs(5);
    TestApp::start(database.backend, settings).await
}

async fn pool_of(app: &TestApp) -> Value {
    app.get("/v1/pool").await.ok()
}

#[tokio::test]
async fn a_session_that_lies_at_hand_counts_as_idle_and_is_there_for_a_transaction() {
    on_both_databases(async |database| {
        let app = start(database, 1).await;
        for _ in 0..5 {
            app.get("/v1/circles").await.ok();
            let pool = pool_of(&app).await;
            assert_eq!((&pool["open"], &pool["in_use"]), (&1.into(), &0.into()));
            let begun = app.database.begin_write().await.expect("the only session");
            assert_eq!(pool_of(&app).await["in_use"], 1);
            begun.rollback().await.expect("given up");
        }
        assert_eq!(pool_of(&app).await["timed_out"], 0);
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn statements_and_transactions_share_few_sessions_and_none_goes_without() {
    on_both_databases(async |database| {
        let app = start(database, 2).await;
        let circle = serde_json::json!({"name": "c"});
        app.post("/v1/circles", &circle).await.created();
        let reads = join_all((0..40).map(|_| app.get("/v1/circles/c")));
        let writes = join_all((0..40).map(async |number| {
            let provider = serde_json::json!({"name": format!("p{number}"), "api_type": "openai"});
            app.post("/v1/providers", &provider).await
        }));
        let (reads, writes) = tokio::join!(reads, writes);
        assert!(reads.iter().all(|answer| answer.status == 200));
        assert!(writes.iter().all(|answer| answer.status == 201));
        let mut pool = pool_of(&app).await;
        // The session of a transaction is checked before it is idle, and no request waits for that.
        for _ in 0..100 {
            if pool["in_use"] == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            pool = pool_of(&app).await;
        }
        assert!(pool["open"].as_u64() <= Some(2), "{pool}");
        assert_eq!(
            (&pool["in_use"], &pool["timed_out"]),
            (&0.into(), &0.into())
        );
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_session_that_was_ended_while_it_lay_at_hand_costs_nobody_an_error() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let app = start(&database, 4).await;
    for _ in 0..5 {
        join_all((0..4).map(|_| app.get("/v1/circles"))).await;
        end_sessions_on(&database.url).await;
        for answer in join_all((0..8).map(|_| app.get("/v1/circles"))).await {
            answer.ok();
        }
    }
    app.stop().await;
    database.remove().await;
}

#[tokio::test]
async fn a_statement_that_is_given_up_leaves_its_session_to_nobody() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let app = start(&database, 1).await;
    let db = app.database.connection();
    let slow = Statement::from_string(db.get_database_backend(), "SELECT 1, pg_sleep(0.5)::text");
    let given_up = tokio::time::timeout(Duration::from_millis(50), db.query_one_raw(slow)).await;
    assert!(given_up.is_err(), "it was quicker than that");
    let next = Statement::from_string(db.get_database_backend(), "SELECT 2");
    let row = db
        .query_one_raw(next)
        .await
        .expect("an answer")
        .expect("a row");
    assert_eq!(row.try_get_by_index::<i32>(0).expect("its own answer"), 2);
    app.stop().await;
    database.remove().await;
}

#[tokio::test]
async fn after_a_surge_the_pool_shrinks_within_half_a_minute_however_light_the_load_is() {
    on_both_databases(async |database| {
        let mut settings = database.settings();
        settings.database.db_pool_min = Some(2);
        settings.database.db_pool_max = Some(12);
        let app = TestApp::start(database.backend, settings).await;
        let statement = match database.backend {
            Backend::Sqlite => {
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000) \
                 SELECT count(*) FROM n"
            }
            Backend::Postgres => "SELECT 1::bigint FROM pg_sleep(0.5)",
        };
        let db = app.database.connection();
        let statement = Statement::from_string(db.get_database_backend(), statement);
        let surge = join_all((0..12).map(|_| db.query_one_raw(statement.clone()))).await;
        assert!(surge.iter().all(Result::is_ok));
        assert_eq!(pool_of(&app).await["open"], 12);
        let ended = Instant::now();
        // Writes take turns on all connections of the pool.
        for number in 0.. {
            let name = format!("p{number}");
            let provider = serde_json::json!({"name": name, "api_type": "openai"});
            app.post("/v1/providers", &provider).await.created();
            if pool_of(&app).await["open"].as_u64() <= Some(3) {
                break;
            }
            assert!(
                ended.elapsed() < Duration::from_secs(30),
                "{:?}",
                pool_of(&app).await
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        app.stop().await;
    })
    .await;
}
