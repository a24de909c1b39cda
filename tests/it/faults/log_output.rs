//! The service keeps working if the reader of its log is slow or stuck.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use test_support::{
    binary::{Server, command},
    faults::usually_or_in_full,
    on_both_databases,
};

#[tokio::test]
async fn a_log_that_nobody_reads_stalls_nobody() {
    on_both_databases(async |database| {
        let unread = Some(Stdio::piped());
        let server = Server::launch(command(&[]), unread, &database.url, &[]).await;
        let started = Instant::now();
        // Each request logs a line, and a pipe holds about 300 of them.
        let requests = usually_or_in_full(3_000, 20_000);
        let mut clients = JoinSet::new();
        for _ in 0..8 {
            let request = server.client().get(server.url("/livez"));
            clients.spawn(async move {
                for _ in 0..requests / 8 {
                    let request = request.try_clone().expect("no body");
                    assert_eq!(request.send().await.expect("an answer").status(), 200);
                }
            });
        }
        while let Some(client) = clients.join_next().await {
            client.expect("answers");
        }
        let elapsed = started.elapsed();
        server.signal("-TERM");
        let (code, _) = server.end().await;
        assert_eq!(code, Some(0), "after {elapsed:?}");
    })
    .await;
}

#[tokio::test]
async fn what_was_logged_is_written_before_the_end() {
    on_both_databases(async |database| {
        let more = ["--log-format", "json", "--shutdown-delay", "0s"];
        let server = Server::start_ready(&database.url, &more).await;
        for _ in 0..50 {
            server.get("/livez").await.ok();
        }
        server.signal("-TERM");
        let (code, log) = server.end().await;
        assert_eq!(code, Some(0), "{log}");
        let answered = log.matches("\"message\":\"answered\"").count();
        assert!(answered >= 50, "{answered} lines: {log}");
        let last = log.lines().last().expect("a line");
        assert!(last.contains("database pool closed"), "{last}");
        assert!(!log.contains("were dropped"), "{log}");
    })
    .await;
}

#[tokio::test]
async fn a_service_that_ends_with_its_log_stuck_ends_in_time() {
    on_both_databases(async |database| {
        let more = ["--log", "trace", "--shutdown-delay", "0s"];
        let server = Server::launch(command(&[]), Some(Stdio::piped()), &database.url, &more).await;
        for _ in 0..200 {
            server.get("/v1/circles").await;
        }
        server.signal("-TERM");
        let told = Instant::now();
        let (code, _) = server.end().await;
        assert_eq!(code, Some(0));
        assert!(
            told.elapsed() < Duration::from_secs(15),
            "{:?}",
            told.elapsed()
        );
    })
    .await;
}
