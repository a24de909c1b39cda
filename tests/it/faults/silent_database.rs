//! A database that stops responding: requests end in time, and the pool recovers with the database.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

use test_support::{
    Backend, TestDatabase,
    binary::Server,
    faults::{report, usually_or_in_full, within},
    proxy::Proxy,
    texts_of,
};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);
/// How long the pool may take to recover after the database.
const RECOVERY_LIMIT: Duration = Duration::from_secs(5);
/// How long a test waits for the end of a fault.
const FAULT_TIMEOUT: Duration = Duration::from_mins(1);
/// Connections in the pool. A debug build needs a tenth of a second of processor time to open one, so
/// opening many at once would be a fault of its own.
const CONNECTIONS: usize = 6;

/// The responses that clients got during a fault.
#[derive(Debug, Default)]
struct Tally {
    answered: AtomicUsize,
    slowest: AtomicUsize,
}

/// One client reads and one writes, repeatedly. Every response must be a success, 503 or 504, and be in
/// time.
async fn keep_asking(
    over: Arc<AtomicBool>,
    tally: Arc<Tally>,
    client: Client,
    base: String,
    number: usize,
) {
    let mut count = 0;
    while !over.load(Ordering::Relaxed) {
        count += 1;
        let asked = Instant::now();
        let request = if number.is_multiple_of(3) {
            let name = format!("frozen-{number}-{count}");
            let body = json!({"name": name, "api_type": "openai"});
            let request = client.post(format!("{base}/v1/providers")).json(&body);
            request.header("idempotency-key", name)
        } else {
            client.get(format!("{base}/v1/circles"))
        };
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        assert!(matches!(status.as_u16(), 200 | 201 | 503 | 504), "{status}");
        if status == StatusCode::SERVICE_UNAVAILABLE {
            assert!(answer.headers().contains_key("retry-after"));
        }
        answer.bytes().await.expect("a body");
        let took = usize::try_from(asked.elapsed().as_millis()).expect("a while");
        tally.slowest.fetch_max(took, Ordering::Relaxed);
        tally.answered.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(50)).await;
    }
}

/// Freezes the database under load, ends the fault by `heal`, and checks that the service recovers
/// within `limit`.
async fn freeze_and_heal(fault: &str, heal: impl Fn(&Proxy), limit: Duration) {
    let database = TestDatabase::create(Backend::Postgres).await;
    let proxy = Proxy::to(&database.url).await;
    let more = ["--request-timeout", "8s", "--db-pool-max", "6"];
    let server = Server::start_ready(&proxy.url_of(&database.url), &more).await;
    let (over, tally) = (Arc::new(AtomicBool::new(false)), Arc::new(Tally::default()));
    let mut clients = JoinSet::new();
    for number in 0..2 * CONNECTIONS {
        let client = server.client().clone();
        clients.spawn(keep_asking(
            Arc::clone(&over),
            Arc::clone(&tally),
            client,
            server.url(""),
            number,
        ));
    }
    for _ in 0..usually_or_in_full(1, 5) {
        sleep(Duration::from_secs(1)).await;
        proxy.freeze();
        let end =
            Instant::now() + usually_or_in_full(Duration::from_secs(10), Duration::from_secs(40));
        while Instant::now() < end {
            assert_eq!(server.get("/livez").await.status, 200);
            assert_eq!(server.get("/v1/pool").await.status, 200);
            sleep(Duration::from_millis(200)).await;
        }
        heal(&proxy);
        let healed = Instant::now();
        whole_again(&server).await;
        let whole = healed.elapsed();
        report(fault, &format!("pool whole {whole:?} after healing"));
        assert!(whole < limit, "{whole:?}");
    }
    over.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.expect("answers in time");
    }
    let slowest = Duration::from_millis(tally.slowest.load(Ordering::Relaxed) as u64);
    let memory = server.process().peak_memory() >> 20;
    report(
        fault,
        &format!(
            "{} answers, the slowest after {slowest:?}; {memory} MiB",
            tally.answered.load(Ordering::Relaxed)
        ),
    );
    assert!(
        slowest
            < REQUEST_TIMEOUT + usually_or_in_full(Duration::from_secs(10), Duration::from_secs(2)),
        "{slowest:?}"
    );
    assert!(memory < 512, "{memory} MiB");
    all_is_given_back(&server).await;
    let held = texts_of(
        &database.url,
        "SELECT pid || ': ' || query FROM pg_stat_activity \
         WHERE datname = current_database() AND state LIKE 'idle in transaction%'",
    );
    assert_eq!(held.await, [""; 0]);
    drop(server);
    database.remove().await;
}

/// Waits until as many concurrent requests as there are connections succeed.
async fn whole_again(server: &Server) {
    let deadline = Instant::now() + FAULT_TIMEOUT;
    loop {
        let mut requests = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let request = server.client().get(server.url("/v1/circles"));
            requests.spawn(async move { request.send().await.expect("an answer").status() });
        }
        let statuses = requests.join_all().await;
        if statuses.iter().all(StatusCode::is_success) {
            return;
        }
        assert!(Instant::now() < deadline, "not whole: {statuses:?}");
    }
}

/// No connection belongs to a request that has ended.
async fn all_is_given_back(server: &Server) {
    let mut pool = Value::Null;
    for _ in 0..100 {
        pool = server.get("/v1/pool").await.ok();
        if pool["in_use"] == 0 {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("still in use: {pool}");
}

#[tokio::test]
async fn a_database_that_freezes_is_waited_for_within_limits_and_used_again_when_it_thaws() {
    freeze_and_heal("freeze", Proxy::thaw, within(RECOVERY_LIMIT)).await;
}

#[tokio::test]
async fn connections_that_a_black_hole_swallowed_are_replaced() {
    freeze_and_heal(
        "black hole",
        Proxy::thaw_new_connections,
        within(RECOVERY_LIMIT),
    )
    .await;
}
