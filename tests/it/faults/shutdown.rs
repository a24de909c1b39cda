//! Shutdown: on a signal, under load, with clients that stall.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Client;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use test_support::{
    Backend, TestDatabase,
    binary::Server,
    connect_to,
    faults::{in_full, random_delay, report, usually_or_in_full},
    on_both_databases,
};

/// The default grace period of Kubernetes, less a margin.
const GRACE_PERIOD: Duration = Duration::from_secs(28);
const SHORT_TIMEOUTS: [&str; 4] = ["--shutdown-delay", "3s", "--shutdown-timeout", "5s"];
/// Timeouts of the database and of bodies are the subject of other tests.
const LONG_TIMEOUTS: [&str; 4] = ["--db-acquire-timeout", "30s", "--body-timeout", "30s"];

#[tokio::test]
async fn told_to_stop_under_load_it_fails_no_request_and_ends_in_time() {
    let rounds = usually_or_in_full(1, 25);
    on_both_databases(async |database| {
        let (mut requests, mut longest) = (0, Duration::ZERO);
        for round in 0..rounds {
            // The first round of a full run has the default timeouts.
            let quick = !in_full() || round > 0;
            let settings: &[&str] = if quick { &SHORT_TIMEOUTS } else { &[] };
            let settings = [settings, &LONG_TIMEOUTS].concat();
            let server = Server::start_ready(&database.url, &settings).await;
            let (answered, time) = stop_under_load(server, round).await;
            requests += answered;
            longest = longest.max(time);
            assert_no_session_is_left(database).await;
        }
        report(
            &format!("told to stop under load on {:?}", database.backend),
            &format!("{rounds} times, {requests} requests, none failed; at most {longest:?}"),
        );
    })
    .await;
}

/// Stops a server under load, and returns how many requests it answered and how long it took to end.
async fn stop_under_load(server: Server, round: u32) -> (u64, Duration) {
    let unready = Arc::new(AtomicBool::new(false));
    let mut load = JoinSet::new();
    for client in 0..8 {
        let name = format!("r{round}-c{client}");
        let unready = Arc::clone(&unready);
        load.spawn(ask(server.client().clone(), server.url(""), name, unready));
    }
    let late = late_request(&server, round).await;
    let stalled = stall(&server).await;
    tokio::time::sleep(random_delay(100..400)).await;

    server.signal("-TERM");
    let told = Instant::now();
    until_draining(&server).await;
    server.get("/v1/circles").await.ok();
    unready.store(true, Ordering::Relaxed);
    let answered = load.join_all().await.iter().sum();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    finish(late).await;
    let (code, log) = server.end().await;
    let time = told.elapsed();
    drop(stalled);
    assert_eq!(code, Some(0), "{log}");
    assert!(time < GRACE_PERIOD, "{time:?}");
    assert!(log.contains("database pool closed"), "{log}");
    (answered, time)
}

/// Waits until the server is not ready, which a load balancer must see at once.
async fn until_draining(server: &Server) {
    loop {
        let answer = server.get("/readyz").await;
        if answer.status == 503 {
            answer.problem(503, "draining");
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Reads and writes until the load balancer sees that the server is not ready. No request may fail.
async fn ask(client: Client, base: String, name: String, unready: Arc<AtomicBool>) -> u64 {
    let mut answered = 0;
    while !unready.load(Ordering::Relaxed) {
        let provider = json!({"name": format!("{name}-{answered}"), "api_type": "openai"});
        let write = client.post(format!("{base}/v1/providers")).json(&provider);
        let written = write.send().await.expect("an answer to a write");
        let status = written.status();
        assert_eq!(status, 201, "{}", written.text().await.unwrap_or_default());
        let read = client.get(format!("{base}/v1/providers?limit=5"));
        let read = read.send().await.expect("an answer to a read");
        assert_eq!(read.status(), 200);
        read.bytes().await.expect("all of it");
        answered += 2;
    }
    answered
}

/// Sends the first part of a write, and returns the connection and the rest of the request.
async fn late_request(server: &Server, round: u32) -> (TcpStream, String) {
    let body = format!(r#"{{"name":"late-{round}","api_type":"openai"}}"#);
    let (begin, rest) = body.split_at(10);
    let head = head("POST", body.len());
    let mut client = connect(server).await;
    client
        .write_all(format!("{head}{begin}").as_bytes())
        .await
        .expect("half of it");
    (client, rest.to_owned())
}

async fn finish((mut client, rest): (TcpStream, String)) {
    client.write_all(rest.as_bytes()).await.expect("the rest");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

/// Clients that send nothing, half of a head, and half of a body.
async fn stall(server: &Server) -> Vec<TcpStream> {
    let half_a_body = format!("{}{{\"name\"", head("POST", 1000));
    let mut stalled = Vec::new();
    for said in ["", "GET /v1/circles HTTP/1.1\r\nHost:", &half_a_body] {
        let mut client = connect(server).await;
        client.write_all(said.as_bytes()).await.expect("it is sent");
        stalled.push(client);
    }
    stalled
}

fn head(method: &str, length: usize) -> String {
    format!(
        "{method} /v1/providers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n"
    )
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address)
        .await
        .expect("a connection")
}

async fn assert_no_session_is_left(database: &TestDatabase) {
    if database.backend == Backend::Postgres {
        let db = connect_to(&database.url).await;
        let sessions = "SELECT count(*) FROM pg_stat_activity \
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let statement = Statement::from_string(db.get_database_backend(), sessions);
        // A session ends shortly after its client has disconnected.
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let row = db.query_one_raw(statement.clone()).await.expect("a count");
            let left = row.expect("a row").try_get_by_index::<i64>(0);
            if left == Ok(0) {
                break;
            }
            assert!(Instant::now() < deadline, "sessions are left: {left:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        db.close().await.expect("closed");
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let server = Server::start_ready(&database.url, &[]).await;
    let stalled = stall(&server).await;
    server.signal("-TERM");
    until_draining(&server).await;
    server.signal("-INT");
    let told = Instant::now();
    let (code, log) = server.end().await;
    assert_eq!(code, Some(130), "{log}");
    assert!(
        told.elapsed() < Duration::from_secs(1),
        "{:?}",
        told.elapsed()
    );
    drop(stalled);
    database.remove().await;
}
