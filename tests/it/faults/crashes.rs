//! Crashes of the service and of PostgreSQL at random times during many writes. Every answered write is
//! stored, and none is stored partially.

use std::{ops::Range, time::Duration};

use test_support::{
    Backend, TestDatabase,
    binary::Server,
    faults::{random_delay, report, usually_or_in_full},
    postgres_server::{Durability, PostgresServer},
    writers::{Ledger, Writers},
};

/// Milliseconds of load before a process is killed.
const LOAD_MILLISECONDS: Range<u64> = 0..300;
/// A busy machine may need seconds to reopen all sessions, which is not what is tested.
const LONG_TIMEOUTS: [&str; 4] = ["--db-acquire-timeout", "30s", "--request-timeout", "60s"];

#[tokio::test]
async fn every_write_that_was_answered_survives_a_kill_on_sqlite() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    survive_kills(&database.url, usually_or_in_full(10, 100)).await;
    database.remove().await;
}

#[tokio::test]
async fn every_write_that_was_answered_survives_a_kill_on_postgresql() {
    let mut postgres = PostgresServer::create(Durability::On);
    postgres.start_ready().await;
    survive_kills(&postgres.url_of("postgres"), usually_or_in_full(10, 100)).await;
}

async fn survive_kills(url: &str, rounds: u32) {
    let mut server = Server::start_ready(url, &LONG_TIMEOUTS).await;
    let mut ledger = Ledger::prepare(&server).await;
    for _ in 0..rounds {
        let writers = Writers::start(&server, &ledger);
        writers.under_way().await;
        tokio::time::sleep(random_delay(LOAD_MILLISECONDS)).await;
        server.signal("-KILL");
        ledger.record(writers.ended().await);
        drop(server);
        server = Server::start_ready(url, &LONG_TIMEOUTS).await;
        ledger.check(&server).await;
    }
    tell(&format!("{rounds} kills"), &ledger, rounds);
}

#[tokio::test]
async fn every_write_that_was_answered_survives_a_crash_of_postgresql() {
    let mut postgres = PostgresServer::create(Durability::On);
    postgres.start_ready().await;
    let server = Server::start_ready(&postgres.url_of("postgres"), &LONG_TIMEOUTS).await;
    let mut ledger = Ledger::prepare(&server).await;
    let rounds = usually_or_in_full(3, 20);
    for _ in 0..rounds {
        let writers = Writers::start(&server, &ledger);
        writers.under_way().await;
        tokio::time::sleep(random_delay(LOAD_MILLISECONDS)).await;
        postgres.stop_immediately();
        tokio::time::sleep(Duration::from_millis(100)).await;
        postgres.start_ready().await;
        writers.under_way().await;
        ledger.record(writers.stop().await);
        ledger.check(&server).await;
    }
    tell(&format!("{rounds} crashes of PostgreSQL"), &ledger, rounds);
}

fn tell(what: &str, ledger: &Ledger, rounds: u32) {
    let answered = ledger.answered();
    assert!(
        answered > u64::from(rounds),
        "{answered} writes are no load"
    );
    report(
        what,
        &format!("{answered} answered writes, none lost, none there by halves"),
    );
}
