//! A pooler before PostgreSQL: what works, and what ends the start with the setting to change.

use reqwest::StatusCode;
use serde_json::json;

use test_support::{
    Answer,
    binary::{self, Server},
    faults::report,
    pgbouncer::PgBouncer,
    postgres_server::{Durability, PostgresServer},
    texts_of,
};

const SHOW_LIMITS: &str = "SELECT current_setting(name) FROM (VALUES ('statement_timeout'), \
    ('lock_timeout'), ('idle_in_transaction_session_timeout')) AS limits(name)";

async fn server() -> PostgresServer {
    let mut postgres = PostgresServer::create(Durability::Off);
    postgres.start_ready().await;
    postgres
}

/// How a start that fails says so.
#[track_caller]
fn refusal(arguments: &[&str]) -> String {
    let output = binary::run(arguments);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said.lines().last().expect("a line").to_owned()
}

fn start_and_end(url: &str) -> String {
    refusal(&["serve", "--bind", "127.0.0.1:0", "--database-url", url])
}

#[tokio::test]
async fn a_service_works_behind_a_pooler_of_sessions_as_it_comes() {
    let postgres = server().await;
    let pooler = PgBouncer::start(&postgres, "pool_mode = session").await;
    let url = pooler.url_of("postgres");
    let server = Server::start_ready(&url, &[]).await;
    for number in 0..20 {
        let agent = json!({"name": format!("agent-{number}")});
        let created = server.client().post(server.url("/v1/agents")).json(&agent);
        Answer::to(created).await.created();
    }
    let list = server.get("/v1/agents?limit=50").await.ok();
    assert_eq!(list["data"].as_array().expect("a list").len(), 20);
    // A statement of another session waits for what this one locks.
    let limits = texts_of(&url, SHOW_LIMITS).await;
    assert_eq!(limits, ["5s", "4s", "10s"]);
    server.signal("-TERM");
    let (code, log) = server.end().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(
        !log.contains("WARN waiting") && !log.contains("ERROR"),
        "{log}"
    );
    let doctor = binary::run(&["doctor", "--database-url", &url]);
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert!(doctor.status.success(), "{said}");
}

/// Dropped startup parameters are why time limits were not set at all behind this pooler.
#[tokio::test]
async fn the_time_limits_hold_where_startup_parameters_are_ignored() {
    let postgres = server().await;
    let lines = "pool_mode = session\nignore_startup_parameters = extra_float_digits,options";
    let pooler = PgBouncer::start(&postgres, lines).await;
    let url = pooler.url_of("postgres");
    assert_eq!(texts_of(&url, SHOW_LIMITS).await, ["5s", "4s", "10s"]);
    let more = [
        "--db-statement-timeout",
        "300ms",
        "--db-lock-timeout",
        "200ms",
    ];
    let server = Server::start_ready(&url, &more).await;
    let circle = json!({"name": "team"});
    let create = || {
        server
            .client()
            .post(server.url("/v1/circles"))
            .json(&circle)
            .send()
    };
    assert_eq!(
        create().await.expect("an answer").status(),
        StatusCode::CREATED
    );
    // Both limits show: the lock timeout first.
    let direct = test_support::connect_to(&postgres.url_of("postgres")).await;
    let locked = sea_orm::TransactionTrait::begin(&direct)
        .await
        .expect("begun");
    sea_orm::ConnectionTrait::execute_unprepared(&locked, "LOCK TABLE circles")
        .await
        .expect("locked");
    let answer = create().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text().await.expect("a text").contains("contended"));
    let reading = server.get("/v1/circles").await;
    assert!(
        reading.status == 503 || reading.status == 504,
        "{}",
        reading.text
    );
    locked.rollback().await.expect("unlocked");
}

#[tokio::test]
async fn what_a_pooler_can_not_do_ends_the_start_with_the_setting_to_change() {
    let postgres = server().await;
    for mode in ["transaction", "statement"] {
        let pooler = PgBouncer::start(&postgres, &format!("pool_mode = {mode}")).await;
        let url = pooler.url_of("postgres");
        let line = start_and_end(&url);
        report("a pooler of transactions or statements", &line);
        assert!(line.contains("pool_mode = session"), "{mode}: {line}");
        let found = binary::run(&["doctor", "--database-url", &url]);
        let found = String::from_utf8_lossy(&found.stdout);
        assert!(found.contains("pool_mode = session"), "{mode}: {found}");
    }
    let pooler = PgBouncer::start(&postgres, "pool_mode = session").await;
    let url = format!("{}?options=-c%20geqo=off", pooler.url_of("postgres"));
    let line = start_and_end(&url);
    assert!(
        line.contains("options") && line.contains("ignore_startup_parameters"),
        "{line}"
    );
}

#[tokio::test]
async fn a_pooler_without_its_server_is_waited_for() {
    let mut postgres = PostgresServer::create(Durability::Off);
    let pooler = PgBouncer::start(&postgres, "pool_mode = session\nserver_login_retry = 1").await;
    let server = Server::start(&pooler.url_of("postgres"), &[]).await;
    server.get("/readyz").await.problem(503, "starting");
    postgres.start_ready().await;
    server.wait_for("/readyz", StatusCode::OK).await;
}
