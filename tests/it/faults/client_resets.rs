//! Clients that disconnect during a write. If the server dropped the write, a session could return to
//! the pool inside a transaction, and the later writes on it would be lost.

use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use reqwest::{Client, RequestBuilder};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::json;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

use test_support::{
    Backend, TestApp, TestDatabase,
    binary::Server,
    connect_to,
    faults::{random_delay, report, usually_or_in_full},
    on_both_databases,
    proxy::Proxy,
    texts_of,
};

const CONNECT_TIMEOUT: Duration = Duration::from_mins(1);
/// The round trip to PostgreSQL.
const ROUND_TRIP: Duration = Duration::from_millis(10);

#[tokio::test]
async fn writes_that_clients_reset_cost_no_answered_write_of_others() {
    on_both_databases(async |database| {
        // No request may time out because the machine is busy.
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
        // PostgreSQL's answers are delayed as by a network, so that resets meet every stage of a
        // transaction, also that between BEGIN and its answer.
        let proxy = match database.backend {
            Backend::Postgres => Some(Proxy::to(&database.url).await),
            Backend::Sqlite => None,
        };
        let url = match &proxy {
            Some(proxy) => proxy.url_of(&database.url),
            None => database.url.clone(),
        };
        let server = Server::start_ready(&url, &more).await;
        if let Some(proxy) = &proxy {
            proxy.delay_answers(ROUND_TRIP);
        }
        let direct = connect_to(&database.url).await;
        let rounds = usually_or_in_full(4, 100);
        let mut answered = 0;
        let clients = Clients::of(&server);
        for round in 0..rounds {
            answered += reset_among_writers(&server, &direct, &clients, round).await;
            // After each round, because the next user of a session may end its transaction.
            no_session_is_in_a_transaction(database).await;
        }
        direct.close().await.expect("closed");
        let done = texts_of(
            &database.url,
            "SELECT name FROM providers WHERE name LIKE 'reset-%'",
        );
        let done = done.await.len();
        assert!(done > 0, "no write that was reset ran to its end");
        let resets = 50 * rounds;
        report(
            "resets",
            &format!(
                "{resets} resets ({done} done all the same), {answered} answered writes, all there"
            ),
        );
    })
    .await;
}

#[tokio::test]
async fn a_begin_that_is_dropped_at_any_moment_leaves_no_session_in_a_transaction() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        // Last the worst case: the server has received the BEGIN, and its answer is not awaited.
        for times in [3, 2, 1, 0] {
            for _ in 0..usually_or_in_full(50, 1_000) {
                drop_while_it_waits(app.database.begin_write(), times).await;
            }
        }
        no_session_is_in_a_transaction(database).await;
        for number in 0..40 {
            let name = format!("after-{number}");
            let body = json!({"name": name, "api_type": "openai"});
            assert_eq!(app.post("/v1/providers", &body).await.status, 201);
        }
        let stored = texts_of(&database.url, "SELECT name FROM providers").await;
        assert_eq!(stored.len(), 40, "answered writes are lost");
        app.stop().await;
    })
    .await;
}

/// Drops a future the next time it has to wait, after it had to so many times.
async fn drop_while_it_waits(future: impl Future, mut times: usize) {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending if times == 0 => Poll::Ready(()),
        Poll::Pending => {
            times -= 1;
            Poll::Pending
        }
    })
    .await;
}

/// Clients that reset their writes.
#[derive(Clone, Debug)]
struct Clients {
    address: SocketAddr,
    streams: Client,
    /// How many microseconds a recent write took.
    pace: Arc<AtomicU64>,
}

impl Clients {
    fn of(server: &Server) -> Self {
        let streams = Client::builder().http2_prior_knowledge().build();
        Self {
            address: server.address,
            streams: streams.expect("a client"),
            pace: Arc::new(AtomicU64::new(100_000)),
        }
    }

    /// A random part of the time that a write takes.
    fn delay(&self) -> Duration {
        let milliseconds = random_delay(0..self.pace.load(Ordering::Relaxed));
        milliseconds / 1_000
    }
}

/// Fifty resets, the first forty among eight writers that wait for their responses and look for what
/// they wrote. Returns how many writes that was. The last ten have no company: a session that one of
/// them leaves in a transaction is not repaired by the next transaction on it.
async fn reset_among_writers(
    server: &Server,
    direct: &DatabaseConnection,
    clients: &Clients,
    round: u32,
) -> usize {
    let over = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        writers.spawn(write_until(
            Arc::clone(&over),
            Arc::clone(&clients.pace),
            server.client().post(server.url("/v1/providers")),
            direct.clone(),
            format!("writer-{round}-{writer}"),
        ));
    }
    let mut resets = JoinSet::new();
    for client in 0..10 {
        let clients = clients.clone();
        resets.spawn(async move {
            for number in 0..4 {
                let name = format!("reset-{round}-{client}-{number}");
                reset_a_write(&clients, &name).await;
            }
        });
    }
    resets.join_all().await;
    over.store(true, Ordering::Relaxed);
    let answered = writers.join_all().await.into_iter().sum();
    let mut last = JoinSet::new();
    for client in 0..10 {
        let clients = clients.clone();
        last.spawn(async move {
            reset_a_write(&clients, &format!("reset-{round}-{client}-last")).await;
        });
    }
    last.join_all().await;
    answered
}

/// Creates providers one after the other, and looks for each in the database.
async fn write_until(
    over: Arc<AtomicBool>,
    pace: Arc<AtomicU64>,
    request: RequestBuilder,
    direct: DatabaseConnection,
    name: String,
) -> usize {
    let mut answered = 0;
    while answered == 0 || !over.load(Ordering::Relaxed) {
        let name = format!("{name}-{answered}");
        let body = json!({"name": name, "api_type": "openai"});
        let asked = Instant::now();
        let request = request.try_clone().expect("no body yet").json(&body);
        let answer = request.send().await.expect("an answer");
        let took = u64::try_from(asked.elapsed().as_micros()).expect("a while");
        pace.store(took.max(1), Ordering::Relaxed);
        let status = answer.status();
        assert_eq!(status, 201, "{}", answer.text().await.unwrap_or_default());
        let look = Statement::from_sql_and_values(
            direct.get_database_backend(),
            "SELECT 1 FROM providers WHERE name = $1",
            [name.as_str().into()],
        );
        let found = direct.query_one_raw(look).await.expect("a look");
        assert!(found.is_some(), "{name} was answered and is not there");
        answered += 1;
    }
    answered
}

/// Sends a write and disconnects while it runs.
async fn reset_a_write(clients: &Clients, name: &str) {
    match random_delay(0..4).as_millis() {
        0 | 1 => reset_a_stream(clients, name).await,
        how => reset_a_connection(clients, name, how == 2).await,
    }
}

/// Resets the stream of HTTP/2, which the server sees at once.
async fn reset_a_stream(clients: &Clients, name: &str) {
    let body = json!({"name": name, "api_type": "openai"});
    let url = format!("http://{}/v1/providers", clients.address);
    let request = clients.streams.post(url).json(&body);
    let request = request.header("idempotency-key", name).send();
    let _ = timeout(clients.delay(), request).await;
}

/// Closes the connection by RST (`hard`) or by FIN.
async fn reset_a_connection(clients: &Clients, name: &str, hard: bool) {
    let body = format!(r#"{{"name":"{name}","api_type":"openai"}}"#);
    let request = format!(
        "POST /v1/providers HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: {name}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let connecting = timeout(CONNECT_TIMEOUT, TcpStream::connect(clients.address)).await;
    let mut stream = connecting.expect("in time").expect("a connection");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a request");
    sleep(clients.delay()).await;
    if hard {
        stream.set_zero_linger().expect("a reset");
    }
}

/// Waits for the last requests, and checks the sessions of the pool.
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
