//! Clients that stall, misbehave, disconnect or are too many: others are served, and no write is
//! partial.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use reqwest::{Client, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

use test_support::{
    Backend, TestDatabase,
    binary::{Server, command_limited},
    faults::{percentile, raise_descriptors, report, time_answers, usually_or_in_full},
    on_both_databases,
};

/// How long a client that stalls may hold a connection.
const STALL_LIMIT: Duration = Duration::from_secs(15);
/// How long a client of these tests waits before it fails.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);

/// Ways to stall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stall {
    Silence,
    HalfAHead,
    SlowHead,
    HalfABody,
    SlowBody,
    HalfAPreface,
    SilenceOnHttp2,
    HalfASecondHead,
}

impl Stall {
    const ALL: [Self; 8] = [
        Self::Silence,
        Self::HalfAHead,
        Self::SlowHead,
        Self::HalfABody,
        Self::SlowBody,
        Self::HalfAPreface,
        Self::SilenceOnHttp2,
        Self::HalfASecondHead,
    ];

    fn opening(self) -> &'static str {
        match self {
            Self::Silence => "",
            Self::HalfAHead | Self::SlowHead => {
                "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
            }
            Self::HalfABody | Self::SlowBody => {
                "POST /v1/providers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 Content-Length: 1000\r\n\r\n{\"name\":"
            }
            Self::HalfAPreface => "PRI * HTTP/2.0\r\n",
            Self::SilenceOnHttp2 => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
            Self::HalfASecondHead => "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
        }
    }

    /// Stalls until the server closes the connection. Returns how long that took, and the response.
    async fn act(self, address: SocketAddr) -> (Self, Duration, String) {
        let started = Instant::now();
        let mut stream = connect(address).await;
        let _ = stream.write_all(self.opening().as_bytes()).await;
        let mut said = Vec::new();
        while started.elapsed() < CLIENT_TIMEOUT {
            let mut part = [0; 4096];
            match timeout(Duration::from_secs(1), stream.read(&mut part)).await {
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(length)) => {
                    said.extend_from_slice(&part[..length]);
                    if self == Self::HalfASecondHead {
                        let _ = stream.write_all(b"GET /livez HTTP").await;
                    }
                }
                Err(_) if matches!(self, Self::SlowHead | Self::SlowBody) => {
                    let _ = stream.write_all(b"x").await;
                }
                Err(_) => {}
            }
        }
        let said = String::from_utf8_lossy(&said).into_owned();
        (self, started.elapsed(), said)
    }
}

async fn connect(address: SocketAddr) -> TcpStream {
    let connecting = timeout(CLIENT_TIMEOUT, TcpStream::connect(address)).await;
    connecting.expect("in time").expect("a connection")
}

/// One request on a connection that stays open.
async fn ask(stream: &mut TcpStream) -> String {
    let request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).await.expect("a request");
    let mut answer = vec![0; 4096];
    let length = timeout(CLIENT_TIMEOUT, stream.read(&mut answer)).await;
    answer.truncate(length.expect("in time").expect("an answer"));
    String::from_utf8(answer).expect("a text")
}

/// Whether the server has closed a connection, or does so within this time.
async fn is_closed(stream: &mut TcpStream, within: Duration) -> bool {
    let mut rest = [0; 4096];
    loop {
        match timeout(within, stream.read(&mut rest)).await {
            Ok(Ok(0) | Err(_)) => return true,
            Ok(Ok(_)) => {}
            Err(_) => return false,
        }
    }
}

#[tokio::test]
async fn clients_that_stall_are_closed_and_others_are_served_meanwhile() {
    raise_descriptors();
    let database = TestDatabase::create(Backend::Sqlite).await;
    let more = [
        "--max-connections",
        "12000",
        "--max-connections-per-address",
        "12000",
    ];
    let server = Server::start_ready(&database.url, &more).await;
    let address = server.address;
    let mut idle = Vec::new();
    for _ in 0..usually_or_in_full(200, 10_000) {
        let mut stream = connect(address).await;
        assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"));
        idle.push(stream);
    }
    let used = server.process().cpu();
    let mut stallers = JoinSet::new();
    for number in 0..usually_or_in_full(80, 1_000) {
        stallers.spawn(Stall::ALL[number % Stall::ALL.len()].act(address));
    }
    let times = time_answers(server.client(), &server.url("/livez"), STALL_LIMIT).await;
    let health = percentile(&times, 99);
    assert!(
        health < usually_or_in_full(Duration::from_secs(1), Duration::from_millis(100)),
        "99 % of {} answers within {health:?}",
        times.len()
    );

    while let Some(staller) = stallers.join_next().await {
        let (kind, held, said) = staller.expect("it ends");
        assert!(
            held < STALL_LIMIT,
            "{kind:?} held a connection for {held:?}"
        );
        if matches!(kind, Stall::HalfABody | Stall::SlowBody) {
            assert!(said.starts_with("HTTP/1.1 408"), "{said}");
            assert!(said.contains("\"code\":\"body_too_slow\""), "{said}");
        }
    }
    for stream in &mut idle {
        assert!(ask(stream).await.starts_with("HTTP/1.1 200"), "an idle one");
    }
    let used = server.process().cpu().saturating_sub(used);
    let memory = server.process().peak_memory() >> 20;
    report(
        "stallers",
        &format!("health p99 {health:?}, {used:?} of CPU, {memory} MiB"),
    );
    let list = server.get("/v1/providers?count=true").await;
    assert_eq!(
        list.ok()["total"],
        0,
        "half a request was taken for a whole"
    );
    drop(server);
    database.remove().await;
}

#[tokio::test]
async fn a_connection_is_kept_between_requests_but_not_for_ever() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let server = Server::start_ready(&database.url, &["--keep-alive-timeout", "3s"]).await;
    let mut stream = connect(server.address).await;
    for _ in 0..3 {
        assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"));
        sleep(Duration::from_secs(1)).await;
    }
    assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"));
    assert!(!is_closed(&mut stream, Duration::from_secs(1)).await);
    assert!(is_closed(&mut stream, STALL_LIMIT).await);
    drop(server);
    database.remove().await;
}

#[tokio::test]
async fn a_connection_too_many_is_refused_and_the_others_stay() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let server = Server::start_ready(&database.url, &["--max-connections", "20"]).await;
    let mut streams = Vec::new();
    for _ in 0..60 {
        streams.push(connect(server.address).await);
    }
    sleep(Duration::from_millis(500)).await;
    let mut kept = Vec::new();
    for mut stream in streams {
        if !is_closed(&mut stream, Duration::from_millis(20)).await {
            kept.push(stream);
        }
    }
    assert!((15..=20).contains(&kept.len()), "{} were kept", kept.len());
    for stream in &mut kept {
        assert!(ask(stream).await.starts_with("HTTP/1.1 200"));
    }
    assert!(server.log().contains("a connection was refused"));
    drop(kept);
    server.wait_for("/readyz", StatusCode::OK).await;
    drop(server);
    database.remove().await;
}

#[tokio::test]
async fn out_of_file_descriptors_it_neither_spins_nor_drops_who_is_there() {
    on_both_databases(async |database| {
        // Fewer than the connections that the service allows.
        let command = command_limited(36);
        let server = Server::launch(command, None, &database.url, &["--db-pool-max", "4"]).await;
        server.wait_for("/readyz", StatusCode::OK).await;
        let mut early = connect(server.address).await;
        assert!(ask(&mut early).await.starts_with("HTTP/1.1 200"));
        let mut crowd = Vec::new();
        for _ in 0..200 {
            crowd.push(connect(server.address).await);
        }
        let used = server.process().cpu();
        for _ in 0..20 {
            assert!(ask(&mut early).await.starts_with("HTTP/1.1 200"));
            sleep(Duration::from_millis(100)).await;
        }
        let used = server.process().cpu().saturating_sub(used);
        assert!(
            used < Duration::from_millis(500),
            "it spins: {used:?} of CPU in 2 s"
        );
        report("out of descriptors", &format!("{used:?} of CPU in 2 s"));
        drop(crowd);
        server.wait_for("/v1/circles", StatusCode::OK).await;
    })
    .await;
}

#[tokio::test]
async fn a_body_that_lies_about_its_length_changes_nothing() {
    on_both_databases(async |database| {
        let server = Server::start_ready(&database.url, &[]).await;
        let body = r#"{"name":"liar","api_type":"openai"}"#;
        for (length, begins) in [
            (body.len() - 1, "HTTP/1.1 400"),
            (body.len() + 9, "HTTP/1.1 400"),
        ] {
            let mut stream = connect(server.address).await;
            let request = format!(
                "POST /v1/providers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 Content-Length: {length}\r\n\r\n{body}"
            );
            stream
                .write_all(request.as_bytes())
                .await
                .expect("a request");
            stream.shutdown().await.expect("an end");
            let mut said = String::new();
            let read = timeout(STALL_LIMIT, stream.read_to_string(&mut said)).await;
            read.expect("in time").expect("an answer or an end");
            assert!(said.is_empty() || said.starts_with(begins), "{said}");
        }
        let list = server.get("/v1/providers?count=true").await;
        assert_eq!(list.ok()["total"], 0);
    })
    .await;
}

#[tokio::test]
async fn many_streams_of_one_http2_connection_are_served() {
    on_both_databases(async |database| {
        let server = Server::start_ready(&database.url, &["--db-acquire-timeout", "30s"]).await;
        let client = Client::builder()
            .http2_prior_knowledge()
            .timeout(CLIENT_TIMEOUT)
            .build()
            .expect("a client");
        let mut answers = JoinSet::new();
        for number in 0..usually_or_in_full(400, 5_000) {
            let path = ["/livez", "/v1/circles", "/v1/nothing"][number % 3];
            let request = client.get(server.url(path));
            answers.spawn(async move { (path, request.send().await.expect("an answer").status()) });
        }
        while let Some(answer) = answers.join_next().await {
            let (path, status) = answer.expect("an answer");
            let expected = if path == "/v1/nothing" { 404 } else { 200 };
            assert_eq!(status, expected, "{path}");
        }
    })
    .await;
}

/// Fails if the total size of bodies has no limit: then the service buffers them all.
#[tokio::test]
async fn large_bodies_that_are_held_back_do_not_fill_the_memory() {
    const LARGE: usize = 1 << 20;
    let clients = 500;
    let database = TestDatabase::create(Backend::Sqlite).await;
    let server = Server::start_ready(&database.url, &[]).await;
    let mut held = JoinSet::new();
    for _ in 0..clients {
        let address = server.address;
        held.spawn(async move {
            let mut stream = connect(address).await;
            let opening = format!(
                "POST /v1/providers HTTP/1.1\r\nHost: localhost\r\n\
                 Content-Type: application/json\r\nContent-Length: {LARGE}\r\n\r\n"
            );
            let sent = async {
                stream.write_all(opening.as_bytes()).await?;
                stream.write_all(&vec![b' '; LARGE - 1]).await
            };
            sent.await.expect("sent all but the last byte");
            let mut answer = [0; 12];
            let answered = timeout(STALL_LIMIT, stream.read_exact(&mut answer)).await;
            let refused = matches!(answered, Ok(Ok(_)) if &answer == b"HTTP/1.1 503");
            (stream, refused)
        });
    }
    sleep(Duration::from_secs(3)).await;
    assert_eq!(server.get("/v1/circles").await.status, 200);
    let post = |name: &str, length: usize| {
        let space = " ".repeat(length);
        let body = format!(r#"{{"name":"{name}","api_type":"openai"}}{space}"#);
        let request = server.client().post(server.url("/v1/providers"));
        let request = request.header("content-type", "application/json");
        async move { request.body(body).send().await.expect("an answer").status() }
    };
    assert_eq!(post("small", 0).await, 201, "small bodies get in");
    assert_eq!(post("large", 3 * LARGE / 4).await, 503, "there is no room");
    let held = held.join_all().await;
    let refused = held.iter().filter(|(_, refused)| *refused).count();
    let memory = server.process().peak_memory() >> 20;
    report(
        "large bodies",
        &format!("{refused} of {clients} held back were refused; {memory} MiB"),
    );
    assert!(refused >= clients - 70, "{refused} of {clients} refused");
    assert!(memory < 512, "{memory} MiB");
    drop(held);
    let deadline = Instant::now() + CLIENT_TIMEOUT;
    while post("large", 3 * LARGE / 4).await != 201 {
        assert!(Instant::now() < deadline, "the room is not given back");
        sleep(Duration::from_millis(100)).await;
    }
    drop(server);
    database.remove().await;
}
