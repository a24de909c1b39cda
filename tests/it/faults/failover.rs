//! The database takes no writes: it was set to be read-only, is a hot standby, or was replaced by a
//! promoted one. Writes get 503 until it takes them, reads are served, and the probe says so.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use sea_orm::ConnectionTrait;
use serde_json::json;
use test_support::{
    Answer, Backend, TestApp, TestDatabase,
    binary::{self, Server},
    connect_to, end_sessions_on,
    faults::{random_delay, report, usually_or_in_full},
    followers::{self, THE_END, follow_events, follow_pages},
    postgres_server::{Durability, PostgresServer},
    proxy::Proxy,
    settings_for, texts_of,
    writers::{Ledger, Writers},
};

async fn create_circle(app: &TestApp, name: &str) -> Answer {
    app.post("/v1/circles", &json!({"name": name})).await
}

/// Nothing can be written, neither in a transaction nor by a single statement; everything can be read.
async fn assert_read_only(app: &TestApp, circle: &str, agent_id: i64) {
    let member = json!({"agent_id": agent_id});
    let members = format!("/v1/circles/{circle}/members");
    for answer in [
        create_circle(app, "refused").await,
        app.post(&members, &member).await,
        app.get("/readyz").await,
    ] {
        assert_eq!(answer.header("retry-after"), "1");
        answer.problem(503, "database_read_only");
    }
    assert_eq!(app.get(&format!("/v1/circles/{circle}")).await.status, 200);
    assert_eq!(app.get("/livez").await.status, 200);
}

/// Waits until a write succeeds and the service is ready. Until then all must be refused with 503.
/// The circles' names start with `prefix`, which no other call may use.
async fn assert_writes_return(app: &TestApp, prefix: &str) {
    let started = Instant::now();
    for attempt in 0.. {
        let name = format!("{prefix}-{attempt}");
        let answers = [create_circle(app, &name).await, app.get("/readyz").await];
        let ready = answers[1].text.clone();
        let statuses = answers.map(|answer| answer.status);
        if statuses == [201, 200] {
            return;
        }
        let expected = |status: &u16| matches!(status, 200 | 201 | 503);
        assert!(statuses.iter().all(expected), "{statuses:?}");
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{statuses:?}: {ready}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn run(url: &str, sql: &str) {
    let db = connect_to(url).await;
    db.execute_unprepared(sql).await.expect(sql);
    db.close().await.expect("closed");
}

#[tokio::test]
async fn a_database_set_to_be_read_only_refuses_writes_serves_reads_and_recovers() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let app = TestApp::start(Backend::Postgres, database.settings()).await;
    create_circle(&app, "team").await.created();
    let agent_id = app.an_agent("ada").await;
    let name = database.url.rsplit('/').next().expect("a name");
    let sql = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    run(&database.url, &sql).await;
    end_sessions_on(&database.url).await;
    assert_read_only(&app, "team", agent_id).await;

    // The sessions that are open now stay read-only, so they must be replaced.
    let sql = format!("BEGIN READ WRITE; ALTER DATABASE {name} RESET ALL; COMMIT");
    run(&database.url, &sql).await;
    assert_writes_return(&app, "later").await;
    app.stop().await;
    database.remove().await;
}

#[tokio::test]
async fn a_primary_that_comes_back_as_a_standby_is_used_again_once_it_is_promoted() {
    let mut postgres = PostgresServer::create(Durability::Off);
    postgres.start_ready().await;
    let settings = settings_for(&postgres.url_of("postgres"));
    let app = TestApp::start(Backend::Postgres, settings).await;
    create_circle(&app, "team").await.created();
    let agent_id = app.an_agent("ada").await;
    // A standby may accept connections before it has replayed everything since the last checkpoint.
    run(&postgres.url_of("postgres"), "CHECKPOINT").await;
    postgres.stop_immediately();
    postgres.become_a_standby();
    postgres.start_ready().await;
    assert_read_only(&app, "team", agent_id).await;

    postgres.promote().await;
    assert_writes_return(&app, "later").await;
    app.stop().await;
}

#[tokio::test]
async fn a_standby_whose_schema_must_be_migrated_is_waited_for() {
    let mut postgres = PostgresServer::create(Durability::Off);
    postgres.become_a_standby();
    postgres.start_ready().await;
    let server = Server::start(&postgres.url_of("postgres"), &[]).await;
    let problem = server.get("/readyz").await.problem(503, "starting");
    let detail = problem["detail"].as_str().expect("a detail");
    assert!(detail.contains("accepts no writes yet"), "{detail}");
    postgres.promote().await;
    server.wait_for("/readyz", StatusCode::OK).await;
}

#[tokio::test]
async fn connections_that_lead_to_a_standby_are_replaced_by_ones_to_the_new_primary() {
    let mut first = PostgresServer::create(Durability::Off);
    first.start_ready().await;
    let proxy = Proxy::to(&first.url_of("postgres")).await;
    let settings = settings_for(&proxy.url_of(&first.url_of("postgres")));
    let app = TestApp::start(Backend::Postgres, settings).await;
    create_circle(&app, "team").await.created();
    let agent_id = app.an_agent("ada").await;
    let mut second = first.create_standby();
    second.start_ready().await;

    run(&first.url_of("postgres"), "CHECKPOINT").await;
    first.stop_immediately();
    second.promote().await;
    first.follow(&second);
    first.start_ready().await;
    assert_read_only(&app, "team", agent_id).await;
    // The connections to the first server stay open, and could be used for reading for ever.
    proxy.lead_to(&second.url_of("postgres"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    create_circle(&app, "at-once").await.created();
    assert_writes_return(&app, "later").await;
    app.stop().await;
}

#[tokio::test]
async fn of_several_hosts_the_primary_is_used_whichever_it_is() {
    let mut first = PostgresServer::create(Durability::Off);
    first.start_ready().await;
    let mut second = first.create_standby();
    second.start_ready().await;
    // The standby comes first, and would do for reading.
    let url = PostgresServer::url_of_all(&[&second, &first], "postgres", "read-write");
    let mut settings = settings_for(&url);
    settings.database.db_acquire_timeout = Duration::from_secs(2);
    let app = TestApp::start(Backend::Postgres, settings).await;
    create_circle(&app, "team").await.created();
    app.get("/readyz").await.ok();
    second.has_replayed(&first).await;

    first.stop_immediately();
    // Requests that wait for the old primary give up after the acquire timeout.
    for _ in 0..100 {
        assert_eq!(create_circle(&app, "refused").await.status, 503);
        let problem = app.get("/readyz").await.body;
        if problem["detail"] == "The database can't be used: no server is read-write." {
            break;
        }
    }
    let refused = create_circle(&app, "refused").await;
    assert_eq!(refused.header("retry-after"), "1");
    let problem = refused.problem(503, "database_unavailable");
    assert_eq!(
        problem["detail"],
        "The database can't be used: no server is read-write."
    );
    second.promote().await;
    assert_writes_return(&app, "promoted").await;

    // The old primary comes back as a standby, and the new one stays the only one that will do.
    first.follow(&second);
    first.start_ready().await;
    assert_writes_return(&app, "with-standby").await;
    app.stop().await;
}

#[tokio::test]
async fn a_host_that_is_down_is_passed_over_by_the_service_and_by_commands() {
    let down = PostgresServer::create(Durability::Off);
    let mut up = PostgresServer::create(Durability::Off);
    up.start_ready().await;
    let url = |attributes| PostgresServer::url_of_all(&[&down, &up], "postgres", attributes);
    let migrate = ["migrate", "up", "--database-url"];
    let output = binary::output_of(&[&migrate[..], &[&url("any")]].concat());
    assert!(output.contains("applied"), "{output}");
    for attributes in ["any", "read-write", "primary", "prefer-standby"] {
        let app = TestApp::start(Backend::Postgres, settings_for(&url(attributes))).await;
        create_circle(&app, attributes).await.created();
        app.get("/readyz").await.ok();
        app.stop().await;
    }
    let all = url("any");
    let (_, rest) = all.split_once('@').expect("a user");
    let (addresses, _) = rest.split_once('/').expect("a database");
    let in_parts = [
        "--db-user",
        "test",
        "--db-name",
        "postgres",
        "--db-host",
        addresses,
    ];
    let output = binary::output_of(&[&["migrate", "status"][..], &in_parts].concat());
    assert!(output.contains("applied"), "{output}");
    for attributes in ["standby", "read-only"] {
        let output = binary::run(&["migrate", "status", "--database-url", &url(attributes)]);
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{log}");
        assert!(log.contains(&format!("no server is {attributes}")), "{log}");
    }
}

/// Makes each commit on the primary wait until its standby has it.
async fn replicate_synchronously(primary: &PostgresServer) {
    let url = primary.url_of("postgres");
    run(&url, "ALTER SYSTEM SET synchronous_standby_names = '*'").await;
    run(&url, "SELECT pg_reload_conf()").await;
    let state = "SELECT sync_state FROM pg_stat_replication";
    let deadline = Instant::now() + Duration::from_mins(1);
    while texts_of(&url, state).await != ["sync"] {
        assert!(Instant::now() < deadline, "replication is not synchronous");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The time until a write succeeds.
async fn time_of_first_write(server: &Server) -> Duration {
    let started = Instant::now();
    for attempt in 0.. {
        let circle = json!({"name": format!("after-{attempt}")});
        let request = server
            .client()
            .post(server.url("/v1/circles"))
            .json(&circle);
        let status = request.send().await.expect("an answer").status();
        if status == StatusCode::CREATED {
            break;
        }
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(started.elapsed() < Duration::from_secs(30), "no write");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    started.elapsed()
}

#[tokio::test]
async fn a_fail_over_to_a_synchronous_standby_under_load_loses_no_answered_write() {
    let rounds = usually_or_in_full(1, 10);
    let (mut times, mut answered) = (Vec::new(), 0);
    for _ in 0..rounds {
        let mut first = PostgresServer::create(Durability::On);
        first.start_ready().await;
        let mut second = first.create_standby();
        second.start_ready().await;
        replicate_synchronously(&first).await;
        let url = PostgresServer::url_of_all(&[&first, &second], "postgres", "read-write");
        let settings = ["--db-acquire-timeout", "2s", "--request-timeout", "30s"];
        let server = Server::start_ready(&url, &settings).await;
        let mut ledger = Ledger::prepare(&server).await;
        let (url, over) = (server.url(""), Arc::new(AtomicBool::new(false)));
        let start = followers::latest(&url).await;
        let by_pages = tokio::spawn(follow_pages(url.clone(), 100, Arc::clone(&over)));
        let by_events = tokio::spawn(follow_events(url, start, usize::MAX));
        let writers = Writers::start(&server, &ledger);
        writers.under_way().await;
        tokio::time::sleep(random_delay(0..300)).await;

        first.stop_immediately();
        second.promote().await;
        times.push(time_of_first_write(&server).await);
        writers.under_way().await;
        ledger.record(writers.stop().await);
        ledger.check(&server).await;
        let end = server.client().post(server.url("/v1/agents"));
        Answer::to(end.json(&json!({"name": THE_END})))
            .await
            .created();
        over.store(true, Ordering::Relaxed);
        let by_pages = by_pages.await.expect("all pages");
        assert!(by_pages.ends_with(&by_events.await.expect("all events")));
        let stored = "SELECT coalesce(name, '') FROM audit_entries";
        let stored = texts_of(&second.url_of("postgres"), stored).await;
        assert_eq!(by_pages.len(), stored.len(), "changes that were told");
        answered += ledger.answered();
    }
    let slowest = times.iter().max().copied().unwrap_or_default();
    report(
        &format!("{rounds} fail-overs to a synchronous standby"),
        &format!(
            "{answered} answered writes, none lost; first write {slowest:.2?} after the promotion at most"
        ),
    );
    assert!(slowest < Duration::from_secs(15), "{slowest:?}");
}
