//! Writes that wait for a lock leave connections for reads, and readiness has one of its own.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use test_support::{
    Backend, TestApp, TestDatabase, binary::Server, connect_to, postgres::LimitedRole,
};

const POOL: u32 = 8;
const READS: [&str; 4] = ["/readyz", "/v1/circles", "/v1/agents", "/v1/providers"];

async fn start(database: &TestDatabase) -> TestApp {
    let mut settings = database.settings();
    settings.database.db_pool_max = Some(POOL);
    settings.database.db_acquire_timeout = Duration::from_secs(1);
    TestApp::start(database.backend, settings).await
}

async fn assert_reads_succeed(app: &TestApp, during: Duration) {
    let end = Instant::now() + during;
    while Instant::now() < end {
        for path in READS {
            let started = Instant::now();
            app.get(path).await.ok();
            let elapsed = started.elapsed();
            assert!(elapsed < Duration::from_secs(1), "{path}: {elapsed:?}");
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Sends a write so many times at once; how many got each status.
fn send(app: &TestApp, count: usize, method: &Method, path: &str) -> JoinSet<StatusCode> {
    let mut writes = JoinSet::new();
    for number in 0..count {
        let request = app.request(method.clone(), path);
        let body = match *method {
            Method::PATCH => json!({"description": format!("{number}")}),
            _ => json!({"agent_id": number}),
        };
        writes.spawn(async move {
            let response = request.json(&body).send().await;
            response.expect("a response").status()
        });
    }
    writes
}

/// Of writes that wait for a locked row, and of the one-statement addition of members too.
#[tokio::test]
async fn reads_and_readiness_succeed_while_writes_wait_for_a_lock() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let app = start(&database).await;
    app.a_circle("team").await;
    for _ in 0..3 {
        app.an_agent("Ada").await;
    }
    let direct = connect_to(&database.url).await;
    for (method, path) in [
        (Method::PATCH, "/v1/circles/team"),
        (Method::POST, "/v1/circles/team/members"),
    ] {
        let lock = direct.begin().await.expect("a transaction");
        let sql = "SELECT id FROM circles FOR UPDATE";
        lock.execute_unprepared(sql).await.expect("the row");
        let writes = send(&app, 40, &method, path);
        sleep(Duration::from_millis(300)).await;
        assert_reads_succeed(&app, Duration::from_secs(2)).await;
        let in_use = app.get("/v1/pool").await.ok()["in_use"].as_u64();
        assert_eq!(in_use, Some(u64::from(POOL) * 3 / 4), "{path}");
        lock.rollback().await.expect("the end of it");
        let statuses = writes.join_all().await;
        let refused = |status: &&StatusCode| **status == StatusCode::SERVICE_UNAVAILABLE;
        assert!(statuses.iter().filter(refused).count() > 20, "{statuses:?}");
        let answered = |status: &StatusCode| status.is_success() || status.is_client_error();
        let answered = statuses.iter().filter(|status| answered(status)).count();
        assert!(answered >= 6, "{statuses:?}");
    }
    direct.close().await.expect("closed");
    app.stop().await;
    database.remove().await;
}

#[tokio::test]
async fn it_is_ready_while_every_connection_is_in_use() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let more = ["--db-pool-max", "3", "--db-acquire-timeout", "1s"];
    let server = Server::start_ready(&database.url, &more).await;
    let direct = connect_to(&database.url).await;
    let lock = "BEGIN; LOCK TABLE providers IN ACCESS EXCLUSIVE MODE";
    direct.execute_unprepared(lock).await.expect("the table");
    let mut reads = JoinSet::new();
    for _ in 0..10 {
        let request = server.client().get(server.url("/v1/providers"));
        reads.spawn(async move { request.send().await.expect("a response").status() });
    }
    sleep(Duration::from_millis(300)).await;
    for _ in 0..20 {
        let pool = server.get("/v1/pool").await.ok();
        assert_eq!(pool["in_use"], 3, "{pool}");
        server.get("/readyz").await.ok();
        sleep(Duration::from_millis(50)).await;
    }
    let end = "ROLLBACK";
    direct.execute_unprepared(end).await.expect("the end of it");
    reads.join_all().await;
    direct.close().await.expect("closed");
    drop(server);
    database.remove().await;
}

/// Where the role has no connection left for the one that readiness asks by.
#[tokio::test]
async fn it_is_ready_while_the_server_allows_no_more_connections() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let direct = connect_to(&database.url).await;
    let role = LimitedRole::create(&direct, &database.url).await;
    let more = ["--no-migrate", "--db-pool-min", "2", "--db-pool-max", "2"];
    let server = Server::start(&role.url, &more).await;
    server.wait_for("/readyz", StatusCode::OK).await;
    for _ in 0..5 {
        server.get("/v1/circles").await.ok();
        server.get("/readyz").await.ok();
    }
    drop(server);
    role.remove(&direct).await;
    direct.close().await.expect("closed");
    database.remove().await;
}
