//! Start and stop of a service, and the setup of its database and pool.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use test_support::{
    TestApp, TestDatabase,
    binary::{self, Server},
    on_both_databases,
};

#[tokio::test]
async fn told_to_stop_it_is_unready_finishes_what_is_in_flight_and_closes_the_pool() {
    on_both_databases(async |database| {
        let server = Server::start_ready(&database.url, &["--shutdown-delay", "1s"]).await;
        let body = r#"{"name":"late","api_type":"openai"}"#;
        let mut slow = TcpStream::connect(server.address).await.expect("a connection");
        let head = format!(
            "POST /v1/providers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        slow.write_all(head.as_bytes()).await.expect("half a request");
        slow.write_all(&body.as_bytes()[..10]).await.expect("half a request");
        tokio::time::sleep(Duration::from_millis(100)).await;

        server.signal("-TERM");
        server.wait_for("/readyz", StatusCode::SERVICE_UNAVAILABLE).await;
        let answer = server.get("/readyz").await;
        assert!(!answer.header("retry-after").is_empty());
        answer.problem(503, "draining");
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(TcpStream::connect(server.address).await.is_err(), "it still accepts");

        slow.write_all(&body.as_bytes()[10..]).await.expect("the rest");
        let mut answer = String::new();
        slow.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
        let (code, log) = server.end().await;
        assert_eq!(code, Some(0), "{log}");
        for line in ["database pool opened", "database pool closed"] {
            assert!(log.contains(line), "{log}");
        }
    })
    .await;
}

#[tokio::test]
async fn no_secret_of_the_database_url_is_logged() {
    let url = "postgres://someone:hunter2@127.0.0.1:1/teams";
    let server = Server::start(url, &["--log", "trace"]).await;
    assert!(!server.get("/readyz").await.text.contains("hunter2"));
    server.signal("-TERM");
    let (_, log) = server.end().await;
    assert!(
        log.contains("database pool opened") && log.contains("teams"),
        "{log}"
    );
    assert!(!log.contains("hunter2"), "{log}");
    for wrong in [
        "postgres://u:hunter2@",
        "postgres://u:hunter2@h:port/d",
        "mysql://u:hunter2@h/d",
    ] {
        let output = binary::run(&["--bind", "127.0.0.1:0", "--database-url", wrong]);
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && log.contains("error: "), "{log}");
        assert!(!log.contains("hunter2"), "{log}");
    }
}

#[tokio::test]
async fn a_request_that_finds_no_connection_in_time_is_told_so_and_counted() {
    on_both_databases(async |database| {
        let mut settings = database.settings();
        settings.database.db_pool_max = Some(1);
        settings.database.db_acquire_timeout = Duration::from_secs(1);
        let app = TestApp::start(database.backend, settings).await;
        let held = app
            .database
            .begin_write()
            .await
            .expect("the only connection");
        assert_eq!(pool_of(&app).await["in_use"], 1);
        let answer = app.get("/v1/circles").await;
        assert_eq!(answer.header("retry-after"), "1");
        answer.problem(503, "pool_exhausted");
        assert_eq!(pool_of(&app).await["timed_out"], 1);

        held.rollback().await.expect("the connection is let go");
        app.get("/v1/circles").await.ok();
        let pool = pool_of(&app).await;
        assert_eq!(
            (&pool["max"], &pool["open"], &pool["timed_out"]),
            (&json!(1), &json!(1), &json!(1))
        );
        app.stop().await;
    })
    .await;
}

async fn pool_of(app: &TestApp) -> Value {
    app.get("/v1/pool").await.ok()
}

#[tokio::test]
async fn the_database_is_set_up_as_promised() {
    use sea_orm::{ConnectionTrait, Statement};
    on_both_databases(async |database: &TestDatabase| {
        let app = TestApp::start(database.backend, database.settings()).await;
        let db = app.database.connection();
        let ask = async |sql: &str| {
            let statement = Statement::from_string(db.get_database_backend(), sql);
            let row = db
                .query_one_raw(statement)
                .await
                .expect(sql)
                .expect("a row");
            row.try_get_by_index::<String>(0)
                .or_else(|_| {
                    row.try_get_by_index::<i64>(0)
                        .map(|number| number.to_string())
                })
                .expect("a value")
        };
        let promises: &[(&str, &str)] = match app.backend {
            test_support::Backend::Sqlite => &[
                ("PRAGMA journal_mode", "wal"),
                ("PRAGMA foreign_keys", "1"),
                ("PRAGMA synchronous", "2"),
                ("PRAGMA busy_timeout", "4000"),
            ],
            test_support::Backend::Postgres => &[
                ("SHOW statement_timeout", "5s"),
                ("SHOW lock_timeout", "4s"),
                ("SHOW idle_in_transaction_session_timeout", "10s"),
                ("SHOW application_name", "circle-registry"),
            ],
        };
        for (sql, value) in promises {
            assert_eq!(ask(sql).await, *value, "{sql}");
        }
        app.stop().await;
    })
    .await;
}
