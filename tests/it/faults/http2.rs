//! Clients that do not read: an unread response ends its stream, and what they hold is bounded.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hyper::{
    Request, Response, StatusCode,
    body::{Body, Incoming},
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
    time::{sleep, timeout},
};

use test_support::{Answer, Backend, TestDatabase, binary::Server, faults::report};

/// How long a client here waits before it gives up.
const TIMEOUT: Duration = Duration::from_secs(30);

async fn serve(more: &[&str]) -> (TestDatabase, Server) {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let server = Server::start_ready(&database.url, more).await;
    (database, server)
}

/// A client on one HTTP/2 connection.
struct Http2 {
    sender: SendRequest<String>,
    connection: JoinHandle<()>,
}

impl Http2 {
    /// `window` is how many bytes of each response the client takes before it has read some.
    async fn connect(address: SocketAddr, window: u32, ping_interval: Option<Duration>) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(window)
            .keep_alive_interval(ping_interval)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream))
            .await
            .expect("HTTP/2");
        let connection = tokio::spawn(async move {
            let _ = connection.await;
        });
        Self { sender, connection }
    }

    async fn get(&mut self, path: &str) -> Response<Incoming> {
        self.sender.ready().await.expect("a connection");
        let request = Request::get(format!("http://127.0.0.1{path}")).body(String::new());
        let response = self.sender.send_request(request.expect("a request"));
        let response = timeout(TIMEOUT, response).await.expect("in time");
        response.expect("a response")
    }
}

/// The next part of a body.
async fn next(body: &mut Incoming) -> Option<Result<Bytes, hyper::Error>> {
    let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut *body).poll_frame(cx));
    let frame = timeout(TIMEOUT, frame).await.expect("in time")?;
    Some(frame.map(|frame| frame.into_data().expect("data")))
}

/// Reads a body to its end, with a pause after each part; how many bytes it has.
async fn read(body: &mut Incoming, pause: Duration) -> Result<usize, hyper::Error> {
    let mut length = 0;
    while let Some(part) = next(body).await {
        length += part?.len();
        sleep(pause).await;
    }
    Ok(length)
}

#[tokio::test]
async fn a_response_that_is_not_read_ends_its_stream_and_no_other() {
    let (database, server) = serve(&["--response-read-timeout", "1s"]).await;
    for window in [0, 1, 1000] {
        let mut client = Http2::connect(server.address, window, None).await;
        let started = Instant::now();
        let mut unread = Vec::new();
        for path in ["/docs", "/openapi.json", "/docs"] {
            unread.push(client.get(path).await.into_body());
        }
        while started.elapsed() < Duration::from_secs(3) {
            let mut livez = client.get("/livez").await;
            assert_eq!(livez.status(), StatusCode::OK);
            if window > 0 {
                let body = read(livez.body_mut(), Duration::ZERO).await;
                body.expect("a body");
            }
            sleep(Duration::from_millis(50)).await;
        }
        for body in &mut unread {
            let read = read(body, Duration::ZERO).await;
            read.expect_err("a reset");
        }
        assert!(!client.connection.is_finished(), "the connection stays");
        let head = client.get("/v1/nothing").await;
        assert_eq!(head.status(), StatusCode::NOT_FOUND);
    }
    drop(server);
    database.remove().await;
}

#[tokio::test]
async fn a_stream_of_events_stays_while_it_is_read_and_ends_if_it_is_not() {
    let (database, server) = serve(&[
        "--response-read-timeout",
        "1s",
        "--keep-alive-timeout",
        "1s",
    ])
    .await;
    let mut client = Http2::connect(server.address, 16_384, None).await;
    let mut read = client.get("/v1/events").await.into_body();
    let mut other = Http2::connect(server.address, 100, None).await;
    let mut unread = other.get("/v1/events").await.into_body();
    next(&mut read).await.expect("a beginning").expect("sound");
    sleep(Duration::from_secs(3)).await;
    for number in 0..3 {
        let agent = serde_json::json!({"name": format!("agent {number}")});
        let create = server.client().post(server.url("/v1/agents")).json(&agent);
        Answer::to(create).await.created();
        let event = next(&mut read).await.expect("an event").expect("sound");
        assert!(event.starts_with(b"id: "), "{event:?}");
        sleep(Duration::from_secs(1)).await;
    }
    let read_late = self::read(&mut unread, Duration::ZERO).await;
    read_late.expect_err("a reset");
    drop(server);
    database.remove().await;
}

#[tokio::test]
async fn a_response_that_is_read_slowly_arrives_whole() {
    let (database, server) = serve(&["--response-read-timeout", "1s"]).await;
    let expected = server.get("/openapi.json").await.text.len();
    let mut client = Http2::connect(server.address, 16_384, None).await;
    let started = Instant::now();
    let mut response = client.get("/openapi.json").await;
    let length = read(response.body_mut(), Duration::from_millis(150)).await;
    assert_eq!(length.expect("the whole body"), expected);
    assert!(started.elapsed() > Duration::from_secs(2), "slowly");
    drop(server);
    database.remove().await;
}

#[tokio::test]
async fn pings_do_not_keep_a_connection_open() {
    let more = [
        "--keep-alive-timeout",
        "2s",
        "--response-read-timeout",
        "1s",
    ];
    let (database, server) = serve(&more).await;
    let ping_interval = Some(Duration::from_millis(200));
    for path in ["/livez", "/docs"] {
        let mut client = Http2::connect(server.address, 0, ping_interval).await;
        let started = Instant::now();
        let unread = client.get(path).await;
        let ended = timeout(TIMEOUT, &mut client.connection).await;
        ended.expect("the end of the connection").expect("no panic");
        let elapsed = started.elapsed();
        let expected = Duration::from_secs(2)..Duration::from_secs(8);
        assert!(expected.contains(&elapsed), "{path}: {elapsed:?}");
        drop(unread);
    }
    drop(server);
    database.remove().await;
}

#[tokio::test]
async fn unread_documents_share_their_memory() {
    const CONNECTIONS: usize = 10;
    let (database, server) = serve(&[]).await;
    for path in ["/docs", "/openapi.json"] {
        server.get(path).await;
    }
    let before = server.process().peak_memory();
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut client = Http2::connect(server.address, 0, None).await;
        for number in 0..100 {
            let path = ["/docs", "/openapi.json"][number % 2];
            let response = client.get(path).await;
            held.push(response.into_body());
        }
        // The client's half of the connection stays open.
        std::mem::forget(client);
    }
    let taken = (server.process().peak_memory() - before) >> 20;
    report("unread documents", &format!("{taken} MiB"));
    // Unshared they are a gigabyte. What the streams themselves take depends on the build and on how the tasks meet.
    assert!(taken < 250, "{taken} MiB");
    drop(server);
    database.remove().await;
}

/// A connection from an address of this machine; whether it is served.
async fn is_served(from: &str, server: &Server) -> (TcpStream, bool) {
    let socket = TcpSocket::new_v4().expect("a socket");
    let from = format!("{from}:0").parse().expect("an address");
    socket.bind(from).expect("an address of this machine");
    let mut stream = socket.connect(server.address).await.expect("a connection");
    let request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let _ = stream.write_all(request).await;
    let mut status = [0; 12];
    let read = timeout(TIMEOUT, stream.read_exact(&mut status)).await;
    let is_served = read.expect("in time").is_ok() && &status == b"HTTP/1.1 200";
    (stream, is_served)
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_others_have_theirs() {
    let (database, server) = serve(&["--max-connections-per-address", "5"]).await;
    let mut open = Vec::new();
    for number in 0..8 {
        let (stream, is_served) = is_served("127.0.0.2", &server).await;
        assert_eq!(is_served, number < 5, "{number}");
        open.push(stream);
    }
    let (_other, is_other_served) = is_served("127.0.0.3", &server).await;
    assert!(is_other_served);
    server
        .wait_for_log("127.0.0.2 has as many connections")
        .await;
    open.clear();
    let deadline = Instant::now() + TIMEOUT;
    while !is_served("127.0.0.2", &server).await.1 {
        assert!(Instant::now() < deadline, "it stays refused");
    }
    drop(server);
    database.remove().await;
}
