//! PostgreSQL restarts or terminates sessions: requests in progress get 503 at worst, and later requests
//! succeed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::{Client, StatusCode};
use sea_orm::ConnectionTrait;
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use test_support::{
    Backend, TestDatabase,
    binary::Server,
    connect_to,
    faults::{random_delay, report, usually_or_in_full, within},
    postgres_server::{Durability, PostgresServer},
};

#[derive(Debug, Default)]
struct Tally {
    good: AtomicUsize,
    told: AtomicUsize,
    slowest: AtomicUsize,
}

/// Reads and writes until `over`. Every request must succeed or get 503.
async fn keep_asking(over: Arc<AtomicBool>, tally: Arc<Tally>, client: Client, base: String) {
    for count in 0.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let asked = Instant::now();
        let answer = ask(&client, &base, count).await;
        let took = usize::try_from(asked.elapsed().as_millis()).expect("a while");
        tally.slowest.fetch_max(took, Ordering::Relaxed);
        match answer {
            200 | 201 => tally.good.fetch_add(1, Ordering::Relaxed),
            503 => tally.told.fetch_add(1, Ordering::Relaxed),
            other => panic!("{other}"),
        };
        sleep(Duration::from_millis(5)).await;
    }
}

/// A read, or, for every third request, a write in a transaction.
async fn ask(client: &Client, base: &str, count: u32) -> u16 {
    let request = if count.is_multiple_of(3) {
        let name = format!("p{:x}", random_delay(0..u64::MAX / 2).as_millis());
        let body = json!({"name": name, "api_type": "openai"});
        let request = client.post(format!("{base}/v1/providers")).json(&body);
        request.header("idempotency-key", name)
    } else {
        client.get(format!("{base}/v1/circles"))
    };
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        assert!(answer.headers().contains_key("retry-after"));
    }
    answer.bytes().await.expect("a body");
    status.as_u16()
}

#[tokio::test]
async fn a_restart_under_load_costs_a_503_at_worst_and_nothing_once_it_accepts_again() {
    let mut postgres = PostgresServer::create(Durability::Off);
    postgres.start_ready().await;
    // A debug build needs a tenth of a second of processor time to open a session, and on a busy machine
    // that takes many times as long.
    let more = usually_or_in_full(
        ["--db-acquire-timeout", "30s", "--request-timeout", "60s"],
        ["--db-acquire-timeout", "2s", "--request-timeout", "10s"],
    );
    let server = Server::start_ready(&postgres.url_of("postgres"), &more).await;
    let mut first = Duration::ZERO;
    let (over, tally) = (Arc::new(AtomicBool::new(false)), Arc::new(Tally::default()));
    let mut clients = JoinSet::new();
    for _ in 0..usually_or_in_full(8, 16) {
        let client = server.client().clone();
        clients.spawn(keep_asking(
            Arc::clone(&over),
            Arc::clone(&tally),
            client,
            server.url(""),
        ));
    }
    for _ in 0..usually_or_in_full(3, 20) {
        sleep(Duration::from_millis(700) + random_delay(0..600)).await;
        postgres.stop_immediately();
        sleep(random_delay(0..1500)).await;
        postgres.start_ready().await;
        let accepting = Instant::now();
        for count in 0..3 {
            let status = ask(server.client(), &server.url(""), count).await;
            assert!(
                matches!(status, 200 | 201),
                "{status} after it accepts again: {}",
                server.log()
            );
        }
        first = first.max(accepting.elapsed());
    }
    over.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.expect("answers");
    }
    let slowest = Duration::from_millis(tally.slowest.load(Ordering::Relaxed) as u64);
    report(
        "restarts",
        &format!(
            "{} served, {} told 503, the slowest after {slowest:?}; three requests after it accepts: {first:?}",
            tally.good.load(Ordering::Relaxed),
            tally.told.load(Ordering::Relaxed),
        ),
    );
    assert!(slowest < within(Duration::from_secs(11)), "{slowest:?}");
}

#[tokio::test]
async fn sessions_that_died_unused_cost_nobody_an_error() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let server = Server::start_ready(&database.url, &["--db-acquire-timeout", "30s"]).await;
    let direct = connect_to(&database.url).await;
    for round in 0..usually_or_in_full(10, 100) {
        let mut requests = JoinSet::new();
        for count in 0..24 {
            let (client, base) = (server.client().clone(), server.url(""));
            requests.spawn(async move { ask(&client, &base, count).await });
        }
        for status in requests.join_all().await {
            assert!(matches!(status, 200 | 201), "{status} in round {round}");
        }
        // Too short for a session to be checked because it was idle.
        sleep(random_delay(0..300)).await;
        direct
            .execute_unprepared(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle'",
            )
            .await
            .expect("sessions end");
    }
    report(
        "dead sessions",
        &format!("{} rounds", usually_or_in_full(10, 100)),
    );
    direct.close().await.expect("closed");
    drop(server);
    database.remove().await;
}
