//! Clients that are gone in the middle of a write. Where a server drops what it was doing for them,
//! a session can go back to the pool inside a transaction, and swallow the writes of others.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::{Client, Method};
use serde_json::json;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::support::{
    Backend, TestDatabase,
    binary::Server,
    faults::{random_moment, report, usually_or_in_full},
    on_both_databases, texts_of,
};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn writes_that_clients_reset_cost_no_answered_write_of_others() {
    on_both_databases(async |database| {
        // Nobody here is to be told that the database is busy, however busy the machine is.
        let more = [
            "--db-acquire-timeout",
            "30s",
            "--db-lock-timeout",
            "30s",
            "--db-statement-timeout",
            "30s",
            "--request-timeout",
            "60s",
        ];
        let server = Server::start_ready(&database.url, &more).await;
        let over = Arc::new(AtomicBool::new(false));
        let mut writers = JoinSet::new();
        for writer in 0..8 {
            let client = server.client().clone();
            let url = server.url("/v1/providers");
            writers.spawn(write_until(Arc::clone(&over), client, url, writer));
        }
        let resets = usually_or_in_full(500, 5_000);
        let mut clients = JoinSet::new();
        for client in 0..8 {
            let address = server.address;
            clients.spawn(async move {
                for number in 0..resets / 8 {
                    reset_a_write(address, &format!("reset-{client}-{number}")).await;
                }
            });
        }
        while let Some(client) = clients.join_next().await {
            client.expect("it resets");
        }
        over.store(true, Ordering::Relaxed);
        let mut answered = Vec::new();
        while let Some(writer) = writers.join_next().await {
            answered.extend(writer.expect("it writes"));
        }

        no_session_is_in_a_transaction(database).await;
        let stored = texts_of(&database.url, "SELECT name FROM providers").await;
        let stored: HashSet<String> = stored.into_iter().collect();
        let lost: Vec<&String> = answered.iter().filter(|name| !stored.contains(*name)).collect();
        assert!(lost.is_empty(), "{} answered writes are lost: {lost:?}", lost.len());
        let done = stored.iter().filter(|name| name.starts_with("reset-")).count();
        assert!(done > 0, "no reset came late enough");
        let count = answered.len();
        assert!(count >= 8 * 16, "only {count} writes were answered");
        report(
            "resets",
            &format!("{resets} resets ({done} writes done all the same), {count} answered writes, none lost"),
        );
    })
    .await;
}

/// Creates providers one after the other, in a transaction and without, and says which were
/// answered.
async fn write_until(
    over: Arc<AtomicBool>,
    client: Client,
    url: String,
    writer: usize,
) -> Vec<String> {
    let mut answered = Vec::new();
    // The last ones come when all sessions have been through a reset.
    while !over.load(Ordering::Relaxed) || answered.len() < 16 {
        let name = format!("writer-{writer}-{}", answered.len());
        let body = json!({"name": name, "api_type": "openai"});
        let mut request = client.request(Method::POST, &url).json(&body);
        if answered.len() % 2 == 0 {
            request = request.header("idempotency-key", &name);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        assert_eq!(status, 201, "{}", answer.text().await.unwrap_or_default());
        answered.push(name);
    }
    answered
}

/// Sends a write and is gone at some moment of it, by RST or by FIN.
async fn reset_a_write(address: SocketAddr, name: &str) {
    let body = format!(r#"{{"name":"{name}","api_type":"openai"}}"#);
    let request = format!(
        "POST /v1/providers HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: {name}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let connecting = timeout(PATIENCE, TcpStream::connect(address)).await;
    let mut stream = connecting.expect("in time").expect("a connection");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a request");
    // A write takes some milliseconds, and more where many are at it.
    sleep(random_moment(0..20)).await;
    if random_moment(0..4) > Duration::ZERO {
        stream.set_zero_linger().expect("a reset");
    }
}

/// Of the pool's sessions, once the last requests are through.
async fn no_session_is_in_a_transaction(database: &TestDatabase) {
    if database.backend == Backend::Sqlite {
        return;
    }
    let mut left = Vec::new();
    for _ in 0..50 {
        left = texts_of(
            &database.url,
            "SELECT pid || ': ' || query FROM pg_stat_activity \
             WHERE datname = current_database() AND state LIKE 'idle in transaction%'",
        )
        .await;
        if left.is_empty() {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("sessions in a transaction: {left:?}");
}
