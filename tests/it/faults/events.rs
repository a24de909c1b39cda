//! Streams of events through clients that do not read, databases that fail, and the end of the service; what they cost, and how
//! soon they come.

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use sea_orm::ConnectionTrait;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{interval, sleep, timeout},
};

use test_support::{
    Answer, Backend, TestApp, TestDatabase,
    binary::Server,
    connect_to,
    events::EventReader,
    faults::{percentile, raise_descriptors, report, usually_or_in_full, within},
    followers, on_both_databases,
    postgres_server::{Durability, PostgresServer},
    proxy::Proxy,
    settings_for,
};

async fn follow(server: &Server) -> EventReader {
    EventReader::open(server.client().get(server.url("/v1/events"))).await
}

async fn create_agent(server: &Server, name: &str) {
    let create = server.client().post(server.url("/v1/agents"));
    Answer::to(create.json(&json!({"name": name})))
        .await
        .created();
}

#[tokio::test]
async fn an_open_stream_is_no_request_and_outlasts_every_limit_on_them() {
    on_both_databases(async |database| {
        let server = Server::start_ready(
            &database.url,
            &[
                "--max-concurrent-requests",
                "1",
                "--request-timeout",
                "1s",
                "--keep-alive-timeout",
                "1s",
                "--response-read-timeout",
                "1s",
            ],
        )
        .await;
        let mut streams = Vec::new();
        for _ in 0..5 {
            streams.push(follow(&server).await);
        }
        sleep(Duration::from_secs(4)).await;
        create_agent(&server, "Ada").await;
        for stream in &mut streams {
            assert_eq!(stream.names(1).await, ["Ada"]);
        }
    })
    .await;
}

#[tokio::test]
async fn told_to_stop_the_service_ends_its_streams_at_once() {
    on_both_databases(async |database| {
        let settings = ["--shutdown-delay", "1s", "--shutdown-timeout", "20s"];
        let server = Server::start_ready(&database.url, &settings).await;
        let mut streams = [follow(&server).await, follow(&server).await];
        create_agent(&server, "before").await;
        server.signal("-TERM");
        let told = Instant::now();
        // Load balancers still send requests here for a while.
        sleep(Duration::from_millis(300)).await;
        create_agent(&server, "meanwhile").await;
        for stream in &mut streams {
            assert_eq!(stream.names(2).await, ["before", "meanwhile"]);
            assert_eq!(stream.next_event().await, None);
        }
        let ended = told.elapsed();
        assert!(ended < Duration::from_secs(5), "{ended:?}");
        let (code, log) = server.end().await;
        assert_eq!(code, Some(0), "{log}");
        assert!(!log.contains("cut off"), "{log}");
        assert!(
            told.elapsed() < Duration::from_secs(8),
            "{:?}",
            told.elapsed()
        );
    })
    .await;
}

/// Opens a stream on a connection that takes little before it is read.
async fn open_slowly(address: SocketAddr, after: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let mut stream = socket.connect(address).await.expect("a connection");
    let head = format!("GET /v1/events?after={after} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("a request");
    stream
}

/// The numbers of the changes whose events are whole in a text, and the last id of them.
fn numbers_in(text: &str) -> (Vec<usize>, String) {
    let (mut numbers, mut last) = (Vec::new(), String::new());
    let (whole, _) = text.rsplit_once("}\n\n").unwrap_or_default();
    for block in whole.split("id: ").skip(1) {
        let Some((id, rest)) = block.split_once('\n') else {
            continue;
        };
        if let Some((_, rest)) = rest.split_once("\"name\":\"n") {
            let (number, _) = rest.split_once('"').expect("the name's end");
            numbers.push(number.parse().expect("a number"));
            id.clone_into(&mut last);
        }
    }
    (numbers, last)
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off_and_goes_on_by_its_id() {
    const COUNT: usize = 40_000;
    on_both_databases(async |database| {
        let settings = ["--response-read-timeout", "1s", "--log", "warn"];
        let server = Server::start_ready(&database.url, &settings).await;
        let start = followers::latest(&server.url("")).await;
        let db = connect_to(&database.url).await;
        let fill = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {COUNT}) \
             INSERT INTO audit_entries (at, action, resource, name) \
             SELECT '2026-01-02T03:04:05.000000+00:00', 'update', 'agent', 'n' || i FROM n"
        );
        db.execute_unprepared(&fill).await.expect(&fill);
        db.close().await.expect("closed");
        server.process().reset_peak_memory();
        let before = server.process().peak_memory();
        let mut unread = open_slowly(server.address, &start).await;
        sleep(Duration::from_secs(5)).await;
        let mut text = Vec::new();
        let end = timeout(Duration::from_secs(30), unread.read_to_end(&mut text)).await;
        // Cut off: a reset, or an end without the last chunk.
        let _ = end.expect("an end");
        assert!(!text.ends_with(b"0\r\n\r\n"));
        let taken = (server.process().peak_memory() - before) >> 20;
        assert!(taken < 24, "{taken} MiB");
        // Chunks are of whole blocks, but their sizes stand between them.
        let text = String::from_utf8_lossy(&text);
        let (numbers, last) = numbers_in(&text);
        assert!((1..COUNT).contains(&numbers.len()), "{}", numbers.len());
        assert!(numbers.iter().copied().eq(1..=numbers.len()), "in order");

        let request = server.client().get(server.url("/v1/events"));
        let mut stream = EventReader::open(request.header("last-event-id", last)).await;
        for number in numbers.len() + 1..=COUNT {
            assert_eq!(stream.names(1).await, [format!("n{number}")]);
        }
        report(
            "a client that does not read",
            &format!("{} of {COUNT} events taken, {taken} MiB", numbers.len()),
        );
    })
    .await;
}

#[tokio::test]
async fn a_stream_outlasts_a_restart_of_postgresql() {
    let mut postgres = PostgresServer::create(Durability::On);
    postgres.start_ready().await;
    let settings = ["--db-acquire-timeout", "2s"];
    let server = Server::start_ready(&postgres.url_of("postgres"), &settings).await;
    let mut stream = follow(&server).await;
    for name in ["first", "second"] {
        create_agent(&server, name).await;
        assert_eq!(stream.names(1).await, [name]);
        postgres.stop_immediately();
        sleep(Duration::from_secs(2)).await;
        postgres.start_ready().await;
    }
    create_agent(&server, "third").await;
    assert_eq!(stream.names(1).await, ["third"]);
}

#[tokio::test]
async fn a_stream_that_told_what_a_failover_lost_ends_with_a_problem_and_another_goes_on() {
    let mut primary = PostgresServer::create(Durability::On);
    primary.start_ready().await;
    let proxy = Proxy::to(&primary.url_of("postgres")).await;
    let settings = settings_for(&proxy.url_of(&primary.url_of("postgres")));
    let app = TestApp::start(Backend::Postgres, settings).await;
    let open = async || EventReader::open(app.request(reqwest::Method::GET, "/v1/events")).await;
    let mut stream = open().await;
    app.an_agent("kept").await;
    assert_eq!(stream.names(1).await, ["kept"]);
    let mut standby = primary.create_standby();
    app.an_agent("lost").await;
    assert_eq!(stream.names(1).await, ["lost"]);
    primary.stop_immediately();
    standby.start_ready().await;
    standby.promote().await;
    proxy.lead_to(&standby.url_of("postgres"));
    let problem = stream.next_event().await.expect("a problem");
    assert_eq!(problem.event, "problem");
    assert_eq!(problem.data["code"], "cursor_expired");
    assert_eq!(problem.data["status"], 410);
    assert_eq!(stream.next_event().await, None);
    let mut stream = open().await;
    app.an_agent("later").await;
    assert_eq!(stream.names(1).await, ["later"]);
    app.stop().await;
}

/// What 1,000 streams may take.
const MAX_MEMORY: u64 = 100 << 20;

#[tokio::test]
async fn a_thousand_streams_take_less_than_a_hundred_mebibytes() {
    const STREAMS: usize = 1000;
    raise_descriptors();
    on_both_databases(async |database| {
        let settings = ["--log", "warn", "--max-connections-per-address", "2000"];
        let server = Server::start_ready(&database.url, &settings).await;
        create_agent(&server, "before").await;
        let process = server.process();
        let before = process.reset_peak_memory();
        let mut opening = JoinSet::new();
        for _ in 0..STREAMS {
            let request = server.client().get(server.url("/v1/events"));
            opening.spawn(EventReader::open(request));
            sleep(Duration::from_millis(1)).await;
        }
        let mut streams = opening.join_all().await;
        for number in 0..10 {
            create_agent(&server, &number.to_string()).await;
        }
        for stream in &mut streams {
            let names = stream.names(10).await;
            assert!(
                names
                    .iter()
                    .enumerate()
                    .all(|(number, name)| *name == number.to_string())
            );
        }
        let taken = process.peak_memory() - before;
        report("1,000 streams", &format!("{} MiB", taken >> 20));
        assert!(taken < MAX_MEMORY, "{} MiB", taken >> 20);
    })
    .await;
}

/// From the answer to a change until its event, at 50 changes a second to one of two instances. The first change after a rest
/// is not among them: of another instance, it comes with the next read by the clock.
async fn delays(changed: &Server, followed: &Server, count: usize) -> Vec<Duration> {
    let mut stream = follow(followed).await;
    create_agent(changed, "first").await;
    assert_eq!(stream.names(1).await, ["first"]);
    let told = tokio::spawn(async move {
        let mut told = HashMap::new();
        while told.len() < count {
            let name = stream.names(1).await.remove(0);
            told.insert(name, Instant::now());
        }
        told
    });
    let mut answered = JoinSet::new();
    let mut ticks = interval(Duration::from_millis(20));
    for number in 0..count {
        ticks.tick().await;
        let name = number.to_string();
        let create = changed.client().post(changed.url("/v1/agents"));
        let create = create.json(&json!({"name": name}));
        answered.spawn(async move {
            Answer::to(create).await.created();
            (name, Instant::now())
        });
    }
    let answered = answered.join_all().await;
    let told = told.await.expect("all events");
    let mut delays: Vec<Duration> = answered
        .into_iter()
        .map(|(name, at)| told[&name].saturating_duration_since(at))
        .collect();
    delays.sort_unstable();
    delays
}

#[tokio::test]
async fn an_event_comes_within_half_a_second_of_its_change() {
    let count = usually_or_in_full(250, 3000);
    let database = TestDatabase::create(Backend::Postgres).await;
    let settings = ["--log", "warn", "--rate-limit-writes", "0"];
    let first = Server::start_ready(&database.url, &settings).await;
    let second = Server::start_ready(&database.url, &settings).await;
    for (place, followed) in [("the same", &first), ("another", &second)] {
        let delays = delays(&first, followed, count).await;
        let (half, most) = (percentile(&delays, 50), percentile(&delays, 99));
        report(
            &format!("events of {place} instance at 50 changes a second"),
            &format!("p50 {half:.0?}, p99 {most:.0?}"),
        );
        assert!(
            most < within(Duration::from_millis(500)),
            "{place}: {most:?}"
        );
    }
    drop((first, second));
    database.remove().await;
}
