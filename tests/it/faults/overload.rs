//! Overload: excess requests are rejected at once, and the service recovers at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use sea_orm::ConnectionTrait;
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use test_support::{
    Backend, TestDatabase,
    binary::Server,
    connect_to,
    faults::{percentile, report, usually_or_in_full},
    on_both_databases,
    postgres::LimitedRole,
};

#[derive(Debug, Default)]
struct Answers {
    good: Vec<Duration>,
    refused: Vec<Duration>,
}

/// This many clients read as fast as they can for this time.
async fn crowd(server: &Server, clients: usize, during: Duration) -> Answers {
    let mut running = JoinSet::new();
    let end = Instant::now() + during;
    for _ in 0..clients {
        let request = server.client().get(server.url("/v1/providers"));
        running.spawn(async move {
            let mut answers = Answers::default();
            while Instant::now() < end {
                let asked = Instant::now();
                let request = request.try_clone().expect("no body");
                let answer = request.send().await.expect("an answer");
                let status = answer.status();
                let body = answer.text().await.expect("a body");
                match status {
                    StatusCode::OK => answers.good.push(asked.elapsed()),
                    StatusCode::SERVICE_UNAVAILABLE => {
                        assert!(
                            body.contains("overloaded") || body.contains("pool_exhausted"),
                            "{body}"
                        );
                        answers.refused.push(asked.elapsed());
                        // A short form of what Retry-After asks for.
                        sleep(Duration::from_millis(50)).await;
                    }
                    other => panic!("{other}: {body}"),
                }
            }
            answers
        });
    }
    let mut all = Answers::default();
    while let Some(one) = running.join_next().await {
        let Answers { good, refused } = one.expect("answers");
        all.good.extend(good);
        all.refused.extend(refused);
    }
    all.good.sort_unstable();
    all.refused.sort_unstable();
    all
}

#[tokio::test]
async fn ten_times_what_the_pool_can_serve_is_mostly_refused_at_once_and_leaves_no_trace() {
    on_both_databases(async |database| {
        let more = ["--db-pool-max", "4", "--max-concurrent-requests", "20", "--log", "warn"];
        let server = Server::start_ready(&database.url, &more).await;
        for number in 0..50 {
            let body = json!({"name": format!("p{number}"), "api_type": "openai"});
            let request = server.client().post(server.url("/v1/providers")).json(&body);
            assert_eq!(request.send().await.expect("an answer").status(), 201);
        }
        let quiet = usually_or_in_full(Duration::from_secs(1), Duration::from_secs(5));
        let before = crowd(&server, 16, quiet).await.good.len();
        let many = crowd(&server, 200, usually_or_in_full(3, 30) * quiet).await;
        sleep(Duration::from_secs(2)).await;
        let after = crowd(&server, 16, quiet).await;

        assert!(!many.good.is_empty() && !many.refused.is_empty());
        let (refused, good) = (percentile(&many.refused, 50), percentile(&many.good, 99));
        let memory = server.process().peak_memory() >> 20;
        report(
            "overload",
            &format!(
                "{} served (99 % within {good:?}), {} refused (half within {refused:?}), {memory} MiB; {before} answers before, {} after",
                many.good.len(), many.refused.len(), after.good.len()
            ),
        );
        assert!(memory < 512, "{memory} MiB");
        assert!(refused < Duration::from_secs(1), "{refused:?}");
        assert!(after.refused.is_empty());
        let enough = usually_or_in_full(before / 4, before * 8 / 10);
        assert!(after.good.len() > enough, "{before} before, {} after", after.good.len());
    })
    .await;
}

#[tokio::test]
async fn requests_that_the_database_holds_up_do_not_pile_up() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let more = [
        "--db-pool-max",
        "4",
        "--max-concurrent-requests",
        "12",
        "--db-acquire-timeout",
        "1s",
    ];
    let server = Server::start_ready(&database.url, &more).await;
    let direct = connect_to(&database.url).await;
    let lock = "BEGIN; LOCK TABLE providers IN ACCESS EXCLUSIVE MODE";
    direct.execute_unprepared(lock).await.expect("the table");
    let (overloaded, exhausted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut requests = JoinSet::new();
    for _ in 0..60 {
        let request = server.client().get(server.url("/v1/providers"));
        let (overloaded, exhausted) = (Arc::clone(&overloaded), Arc::clone(&exhausted));
        requests.spawn(async move {
            let answer = request.send().await.expect("an answer");
            let retry_after = answer.headers().contains_key("retry-after");
            match answer.status() {
                StatusCode::OK => return,
                StatusCode::SERVICE_UNAVAILABLE => assert!(retry_after),
                other => panic!("{other}"),
            }
            let text = answer.text().await.expect("a body");
            if text.contains("\"code\":\"overloaded\"") {
                overloaded.fetch_add(1, Ordering::Relaxed);
            } else if text.contains("\"code\":\"pool_exhausted\"") {
                exhausted.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    sleep(Duration::from_secs(2)).await;
    assert_eq!(server.get("/livez").await.status, 200);
    direct
        .execute_unprepared("ROLLBACK")
        .await
        .expect("the table is let go");
    requests.join_all().await;
    let (overloaded, exhausted) = (
        overloaded.load(Ordering::Relaxed),
        exhausted.load(Ordering::Relaxed),
    );
    assert!(overloaded >= 30, "{overloaded} were told at once");
    assert!(exhausted > 0, "none waited in vain");
    server.wait_for("/v1/providers", StatusCode::OK).await;
    direct.close().await.expect("closed");
    drop(server);
    database.remove().await;
}

#[tokio::test]
async fn more_connections_than_postgresql_allows_are_done_without() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let direct = connect_to(&database.url).await;
    let role = LimitedRole::create(&direct, &database.url).await;

    let server = Server::start_ready(&role.url, &["--no-migrate"]).await;
    let (mut good, mut refused) = (0, 0);
    for _ in 0..usually_or_in_full(2, 10) {
        let mut requests = JoinSet::new();
        for _ in 0..40 {
            let request = server.client().get(server.url("/v1/circles"));
            requests.spawn(async move { request.send().await.expect("an answer").status() });
        }
        for status in requests.join_all().await {
            match status {
                StatusCode::OK => good += 1,
                StatusCode::SERVICE_UNAVAILABLE => refused += 1,
                other => panic!("{other}"),
            }
        }
    }
    assert!(good > 0);
    report("53300", &format!("{good} served, {refused} told 503"));
    role.lift_limit(&direct).await;
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let mut requests = JoinSet::new();
        for _ in 0..10 {
            let request = server.client().get(server.url("/v1/circles"));
            requests.spawn(async move { request.send().await.expect("an answer").status() });
        }
        let statuses = requests.join_all().await;
        if statuses.iter().all(StatusCode::is_success) {
            break;
        }
        assert!(Instant::now() < deadline, "{statuses:?}");
    }
    drop(server);
    role.remove(&direct).await;
    direct.close().await.expect("closed");
    database.remove().await;
}
