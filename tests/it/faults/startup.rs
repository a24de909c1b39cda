//! Startup without the database, with one that becomes available later, and with one that refuses.

use std::{
    process::Output,
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use sea_orm::ConnectionTrait;
use serde_json::json;
use tempfile::TempDir;

use test_support::{
    Backend, TestDatabase,
    binary::{self, Server},
    connect_to,
    faults::{report, within},
    postgres::{self, LimitedRole},
    postgres_server::{Durability, PASSWORD, PostgresServer},
};

/// The last line on standard error. All lines before it must be log lines.
#[track_caller]
fn complaint(log: &str) -> &str {
    let last = log.lines().last().expect("a line");
    assert!(last.starts_with("error: "), "{log}");
    assert_eq!(log.matches("error: ").count(), 1, "{log}");
    assert!(!log.contains("panicked"), "{log}");
    last
}

fn start_and_end(url: &str) -> Output {
    binary::run(&["--bind", "127.0.0.1:0", "--database-url", url])
}

#[tokio::test]
async fn without_its_database_it_starts_says_503_and_recovers_by_itself() {
    let mut postgres = PostgresServer::create(Durability::Off);
    let begun = Instant::now();
    let server = Server::start(&postgres.url_of("postgres"), &[]).await;
    let answer = server.get("/v1/circles").await;
    let first = begun.elapsed();
    report(
        "no database at the start",
        &format!("first 503 after {first:?}"),
    );
    assert!(first < within(Duration::from_millis(2500)), "{first:?}");
    assert_eq!(answer.header("retry-after"), "1");
    answer.problem(503, "starting");
    assert_eq!(server.get("/livez").await.ok()["status"], "ok");
    let reason = server.get("/readyz").await.problem(503, "starting");
    assert_eq!(reason["detail"], "The database can't be reached yet.");
    assert_eq!(server.get("/v1/pool").await.ok()["backend"], "postgresql");

    postgres.start_ready().await;
    let up = Instant::now();
    server.wait_for("/readyz", StatusCode::OK).await;
    let recovered = up.elapsed();
    report(
        "no database at the start",
        &format!("ready {recovered:?} after it"),
    );
    assert!(recovered < within(Duration::from_secs(1)), "{recovered:?}");
    assert_eq!(server.get("/v1/circles").await.ok()["data"], json!([]));
    let pool = server.get("/v1/pool").await.ok();
    assert!(pool["open"].as_u64() >= pool["min"].as_u64(), "{pool}");

    server.signal("-TERM");
    let (code, log) = server.end().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(
        log.contains("WARN waiting for the database") && log.contains("refused"),
        "{log}"
    );
    assert!(log.contains("the database is available; ready"), "{log}");
    // Each reason is logged once, however often the database is tried.
    assert_eq!(log.matches("refused").count(), 1, "{log}");
}

#[tokio::test]
async fn a_wrong_password_ends_the_start_at_once_and_later() {
    let mut postgres = PostgresServer::create(Durability::Off);
    let wrong = postgres
        .url_of("postgres")
        .replace(&format!("test:{PASSWORD}"), "stranger:wrong-one");
    let server = Server::start(&wrong, &["--shutdown-delay", "0s"]).await;
    server.get("/readyz").await.problem(503, "starting");
    postgres.start_ready().await;
    let (code, log) = server.end().await;
    assert_eq!(code, Some(1), "{log}");
    assert!(complaint(&log).contains("password authentication failed"));
    assert!(!log.contains("wrong-one"), "{log}");

    let output = start_and_end(&wrong);
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(complaint(&log).contains("password authentication failed"));
}

#[tokio::test]
async fn a_schema_newer_than_the_program_ends_the_start_at_once_and_later() {
    let mut postgres = PostgresServer::create(Durability::On);
    postgres.start_ready().await;
    let url = postgres.url_of("postgres");
    binary::output_of(&["migrate", "up", "--database-url", &url]);
    let db = connect_to(&url).await;
    db.execute_unprepared(
        "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000001_later', 0)",
    )
    .await
    .expect("a later migration");
    db.close().await.expect("closed");
    let output = start_and_end(&url);
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(complaint(&log).contains("m29990101_000001_later"), "{log}");

    postgres.stop_immediately();
    let server = Server::start(&url, &["--shutdown-delay", "0s"]).await;
    server.get("/readyz").await.problem(503, "starting");
    postgres.start_ready().await;
    let (code, log) = server.end().await;
    assert_eq!(code, Some(1), "{log}");
    assert!(complaint(&log).contains("m29990101_000001_later"), "{log}");
}

#[tokio::test]
async fn a_database_that_says_no_ends_the_start_with_one_line() {
    let folder = TempDir::new().expect("a folder");
    let file = |path: &str| format!("sqlite:{}", folder.path().join(path).display());
    binary::output_of(&["migrate", "up", "--database-url", &file("there.db")]);
    for (url, about) in [
        (postgres::url_of("no_such_database"), "no_such_database"),
        (file("no-such-folder/teams.db"), "no-such-folder/teams.db"),
        (format!("{}?mode=ro", file("there.db")), "readonly"),
        (
            format!("sqlite:{}", folder.path().display()),
            "can't be used",
        ),
    ] {
        let output = start_and_end(&url);
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(complaint(&log).contains(about), "{log}");
    }
}

#[tokio::test]
async fn a_sqlite_file_that_is_busy_at_the_start_is_waited_for() {
    let folder = TempDir::new().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("test.db").display());
    binary::output_of(&["migrate", "up", "--database-url", &url]);
    let db = connect_to(&url).await;
    db.execute_unprepared("BEGIN EXCLUSIVE")
        .await
        .expect("all of it");
    let server = Server::start(&url, &["--db-lock-timeout", "200ms"]).await;
    let reason = server.get("/readyz").await.problem(503, "starting");
    assert!(
        reason["detail"]
            .as_str()
            .is_some_and(|why| why.contains("busy")),
        "{reason}"
    );
    db.execute_unprepared("ROLLBACK")
        .await
        .expect("it is let go");
    server.wait_for("/readyz", StatusCode::OK).await;
    db.close().await.expect("closed");
}

#[tokio::test]
async fn a_start_that_finds_all_connections_taken_says_that_none_is_free() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let direct = connect_to(&database.url).await;
    let role = LimitedRole::create(&direct, &database.url).await;
    let (one, other) = (connect_to(&role.url).await, connect_to(&role.url).await);
    for db in [&one, &other] {
        db.execute_unprepared("SELECT 1").await.expect("a session");
    }
    let server = Server::start(&role.url, &["--no-migrate"]).await;
    let reason = server.get("/readyz").await.problem(503, "starting");
    assert_eq!(reason["detail"], "The database has no connection free.");
    one.close().await.expect("closed");
    other.close().await.expect("closed");
    server.wait_for("/readyz", StatusCode::OK).await;
    drop(server);
    role.remove(&direct).await;
    direct.close().await.expect("closed");
    database.remove().await;
}
