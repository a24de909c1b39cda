//! The feed of changes has no gap: under concurrent writers, transactions that are open for a while, rollbacks, kills and
//! restarts, and a cursor that it can't continue from is refused.
//!
//! The usual run writes for 3 seconds. `FAULTS=full` writes for a minute.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Client;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

use test_support::{
    Answer, Backend, TestApp,
    binary::Server,
    connect_to,
    faults::{random_delay, report, usually_or_in_full},
    followers::{self, THE_END, follow_events, follow_pages},
    on_both_databases,
    postgres_server::{Durability, PostgresServer, free_port, run_tool},
    settings_for, texts_of,
};

const WRITERS: usize = 8;

fn duration() -> Duration {
    usually_or_in_full(Duration::from_secs(3), Duration::from_mins(1))
}

/// Creates agents with unique names at a service until it is to stop, and returns those that were answered.
async fn create_agents(url: String, writer: usize, over: Arc<AtomicBool>) -> Vec<String> {
    let client = Client::new();
    let mut answered = Vec::new();
    for count in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("w{writer}-{count}");
        let request = client.post(format!("{url}/v1/agents"));
        match request.json(&json!({"name": name})).send().await {
            Ok(answer) if answer.status() == 201 => answered.push(name),
            _ => sleep(Duration::from_millis(20)).await,
        }
        sleep(random_delay(0..20)).await;
    }
    answered
}

/// Commits entries in transactions that stay open for a while, or rolls them back, and returns those that were committed.
async fn hold_transactions(
    db: DatabaseConnection,
    writer: usize,
    over: Arc<AtomicBool>,
) -> Vec<String> {
    let is_sqlite = db.get_database_backend() == sea_orm::DbBackend::Sqlite;
    let longest = if is_sqlite { 10 } else { 60 };
    let mut committed = Vec::new();
    for count in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        // SQLite's one writer may be another for longer than its timeout.
        let Ok(transaction) = db.begin_with_options(options).await else {
            continue;
        };
        let names = ["a", "b"].map(|part| format!("w{writer}-{count}{part}"));
        for name in &names {
            let sql = format!(
                "INSERT INTO audit_entries (at, action, resource, name) \
                 VALUES ('2026-01-02T03:04:05.000000+00:00', 'update', 'agent', '{name}')"
            );
            transaction.execute_unprepared(&sql).await.expect(&sql);
            sleep(random_delay(0..longest)).await;
        }
        if count % 4 == 0 {
            transaction.rollback().await.expect("a rollback");
        } else {
            transaction.commit().await.expect("a commit");
            committed.extend(names);
        }
        sleep(random_delay(0..20)).await;
    }
    db.close().await.expect("closed");
    committed
}

/// Fails unless all saw the same, and nothing twice. Returns what they saw.
fn all_saw_the_same(seen: Vec<Vec<String>>) -> BTreeSet<String> {
    let first = seen.first().expect("a follower").clone();
    let names: BTreeSet<String> = first.iter().cloned().collect();
    assert_eq!(names.len(), first.len(), "a change was told twice");
    for other in seen {
        assert!(
            other == first,
            "two followers saw {} and {} changes, or another order",
            first.len(),
            other.len()
        );
    }
    names
}

#[tokio::test]
async fn every_follower_hears_of_every_committed_change_once_and_in_one_order() {
    on_both_databases(async |database| {
        let [first, second] =
            [(); 2].map(|()| TestApp::start(database.backend, database.settings()));
        let (first, second) = (first.await, second.await);
        let (over, settled) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        let (mut writers, mut followers) = (JoinSet::new(), JoinSet::new());
        let start = followers::latest(&first.base).await;
        for (instance, app) in [&first, &second].into_iter().enumerate() {
            for limit in [7, 200] {
                followers.spawn(follow_pages(app.base.clone(), limit, Arc::clone(&settled)));
            }
            for until_lost in [5, 100, usize::MAX] {
                followers.spawn(follow_events(app.base.clone(), start.clone(), until_lost));
            }
            for writer in (instance..WRITERS).step_by(2) {
                if writer < WRITERS / 2 {
                    writers.spawn(create_agents(app.base.clone(), writer, Arc::clone(&over)));
                } else {
                    let db = connect_to(&database.url).await;
                    writers.spawn(hold_transactions(db, writer, Arc::clone(&over)));
                }
            }
        }
        sleep(duration()).await;
        over.store(true, Ordering::Relaxed);
        let written = writers.join_all().await.into_iter().flatten();
        let written: BTreeSet<String> = written.chain([THE_END.to_owned()]).collect();
        first.an_agent(THE_END).await;
        settled.store(true, Ordering::Relaxed);
        let seen = all_saw_the_same(followers.join_all().await);
        let missed: Vec<_> = written.difference(&seen).collect();
        assert!(
            missed.is_empty(),
            "{} changes were missed: {missed:?}",
            missed.len()
        );
        assert_eq!(seen.len(), written.len(), "what was rolled back was told");
        report(
            "a feed with open transactions and rollbacks",
            &format!("{} changes", seen.len()),
        );
        first.stop().await;
        second.stop().await;
    })
    .await;
}

#[tokio::test]
async fn followers_lose_nothing_when_an_instance_is_killed_and_postgresql_restarts() {
    let mut postgres = PostgresServer::create(Durability::On);
    postgres.start_ready().await;
    let url = postgres.url_of("postgres");
    let settings = ["--db-acquire-timeout", "2s"];
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let stays = Server::start_ready(&url, &settings).await;
    let mut killed = Server::start_at(address, &url, &settings).await;
    let (over, settled) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let (mut writers, mut followers) = (JoinSet::new(), JoinSet::new());
    let start = followers::latest(&stays.url("")).await;
    for (instance, server) in [&stays, &killed].into_iter().enumerate() {
        let url = server.url("");
        followers.spawn(follow_pages(url.clone(), 20, Arc::clone(&settled)));
        followers.spawn(follow_events(url.clone(), start.clone(), usize::MAX));
        for writer in (instance..WRITERS).step_by(2) {
            writers.spawn(create_agents(url.clone(), writer, Arc::clone(&over)));
        }
    }
    for _ in 0..usually_or_in_full(1, 10) {
        sleep(random_delay(300..800)).await;
        killed.signal("-KILL");
        sleep(random_delay(300..800)).await;
        postgres.stop_immediately();
        sleep(random_delay(100..500)).await;
        postgres.start_ready().await;
        killed = Server::start_at(address, &url, &settings).await;
    }
    sleep(Duration::from_secs(1)).await;
    over.store(true, Ordering::Relaxed);
    let answered: BTreeSet<String> = writers.join_all().await.into_iter().flatten().collect();
    let end = stays.client().post(stays.url("/v1/agents"));
    Answer::to(end.json(&json!({"name": THE_END})))
        .await
        .created();
    settled.store(true, Ordering::Relaxed);
    let seen = all_saw_the_same(followers.join_all().await);
    let stored = texts_of(&url, "SELECT name FROM audit_entries").await;
    assert_eq!(seen, stored.into_iter().collect());
    assert!(answered.is_subset(&seen));
    report(
        "a feed through a kill and a restart",
        &format!("{} changes", seen.len()),
    );
    drop((stays, killed));
}

/// The cursor after all that has been changed.
async fn latest(app: &TestApp) -> String {
    let page = app.get("/v1/changes?after=latest").await.ok();
    assert_eq!(page["held_back_since"], Value::Null);
    page["next_cursor"].as_str().expect("a cursor").to_owned()
}

async fn after(app: &TestApp, cursor: &str) -> Answer {
    app.get(&format!("/v1/changes?after={cursor}")).await
}

fn names(page: &Value) -> Vec<&str> {
    let changes = page["data"].as_array().expect("a page").iter();
    changes
        .map(|change| change["name"].as_str().expect("a name"))
        .collect()
}

async fn app_on(postgres: &PostgresServer) -> TestApp {
    TestApp::start(
        Backend::Postgres,
        settings_for(&postgres.url_of("postgres")),
    )
    .await
}

#[tokio::test]
async fn after_a_failover_a_cursor_that_was_lost_is_gone_and_an_earlier_one_is_good() {
    let mut primary = PostgresServer::create(Durability::On);
    primary.start_ready().await;
    let app = app_on(&primary).await;
    app.an_agent("kept").await;
    let kept = latest(&app).await;
    let mut standby = primary.create_standby();
    app.an_agent("lost").await;
    let lost = latest(&app).await;
    app.stop().await;
    primary.stop_immediately();
    standby.start_ready().await;
    standby.promote().await;

    let app = app_on(&standby).await;
    after(&app, &lost).await.problem(410, "cursor_expired");
    app.an_agent("first").await;
    app.an_agent("second").await;
    after(&app, &lost).await.problem(410, "cursor_expired");
    let page = after(&app, &kept).await.ok();
    assert_eq!(names(&page), ["first", "second"]);
    app.stop().await;
}

/// Uses up numbers of transactions.
async fn count_on(postgres: &PostgresServer, transactions: u32) {
    let db = connect_to(&postgres.url_of("postgres")).await;
    let sql = format!(
        "DO $$ BEGIN FOR i IN 1..{transactions} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
    );
    db.execute_unprepared(&sql).await.expect(&sql);
    db.close().await.expect("closed");
}

#[tokio::test]
async fn a_dump_that_is_restored_into_another_cluster_starts_the_feed_again_where_it_must() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let dump = folder.path().join("dump").display().to_string();
    let [mut old, mut behind, mut ahead] =
        [(); 3].map(|()| PostgresServer::create(Durability::Off));
    for server in [&mut old, &mut behind, &mut ahead] {
        server.start_ready().await;
    }
    count_on(&old, 3_000).await;
    count_on(&ahead, 9_000).await;
    let app = app_on(&old).await;
    app.an_agent("first").await;
    let first = latest(&app).await;
    app.an_agent("second").await;
    let second = latest(&app).await;
    app.stop().await;
    run_tool(
        "pg_dump",
        &["-Fc", "-f", &dump, "-d", &old.url_of("postgres")],
    );
    for server in [&behind, &ahead] {
        run_tool("pg_restore", &["-d", &server.url_of("postgres"), &dump]);
    }

    let app = app_on(&behind).await;
    app.an_agent("before the first poll").await;
    for cursor in [&first, &second] {
        after(&app, cursor).await.problem(410, "cursor_expired");
    }
    let start = latest(&app).await;
    let expected = ["before the first poll", "later"];
    app.an_agent("later").await;
    assert_eq!(names(&after(&app, &start).await.ok()), ["later"]);
    assert_eq!(names(&app.get("/v1/changes").await.ok()), expected);
    // The numbers reach those of the restored entries.
    count_on(&behind, 6_000).await;
    app.an_agent("much later").await;
    assert_eq!(
        names(&after(&app, &start).await.ok()),
        ["later", "much later"]
    );
    app.stop().await;

    let app = app_on(&ahead).await;
    app.an_agent("later").await;
    assert_eq!(names(&after(&app, &first).await.ok()), ["second", "later"]);
    app.stop().await;
}

#[tokio::test]
async fn a_transaction_that_is_open_for_long_is_warned_of_and_measured() {
    let database = test_support::TestDatabase::create(Backend::Postgres).await;
    let server = Server::start_ready(&database.url, &["--log", "warn"]).await;
    let db = connect_to(&database.url).await;
    let open = db.begin().await.expect("a transaction");
    open.execute_unprepared("SELECT pg_current_xact_id()")
        .await
        .expect("a number");
    let old = "INSERT INTO audit_entries (at, action, resource) VALUES (now() - interval '2 minutes', 'x', 'x')";
    let other = connect_to(&database.url).await;
    other.execute_unprepared(old).await.expect(old);
    other.close().await.expect("closed");
    let asked = Instant::now();
    for _ in 0..5 {
        server.get("/v1/changes").await.ok();
    }
    server.wait_for_log("holds back the feed of changes").await;
    let warnings = server
        .log()
        .matches("holds back the feed of changes")
        .count();
    assert!(
        warnings == 1 || asked.elapsed() > Duration::from_mins(1),
        "{warnings}"
    );
    let held_back = async || {
        let text = server.client().get(server.url("/metrics")).send().await;
        let text = text.expect("metrics").text().await.expect("text");
        let name = "circle_registry_changes_held_back_seconds ";
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        value.expect("a gauge").parse::<f64>().expect("seconds")
    };
    let seconds = held_back().await;
    assert!((120.0..1000.0).contains(&seconds), "{seconds}");
    open.rollback().await.expect("a rollback");
    // Transactions of other tests on the same server may hold it back for a moment.
    while held_back().await > 0.0 {
        sleep(Duration::from_millis(20)).await;
    }
    db.close().await.expect("closed");
    drop(server);
    database.remove().await;
}
