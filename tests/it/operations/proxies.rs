//! A proxy in front of a service without keys does not open it.

use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use test_support::{
    Answer, Backend, TestApp, TestDatabase,
    binary::{self, Server},
    on_both, on_both_databases,
};

const ADDED: [(&str, &str); 8] = [
    ("forwarded", "for=192.0.2.7;proto=https"),
    ("x-forwarded-for", "192.0.2.7"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "registry.example"),
    ("X-Forwarded-Something", ""),
    ("x-real-ip", "127.0.0.1"),
    ("via", "1.1 proxy"),
    ("cf-connecting-ip", "192.0.2.7"),
];

async fn get(app: &TestApp, path: &str, header: (&str, &str), token: Option<&str>) -> Answer {
    let mut request = app.request(Method::GET, path).header(header.0, header.1);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    Answer::to(request).await
}

#[tokio::test]
async fn without_keys_a_request_through_a_proxy_is_refused_and_says_what_to_do() {
    on_both(async |app| {
        for header in ADDED {
            let answer = get(app, "/v1/circles", header, None).await;
            let problem = answer.problem(403, "proxy_not_allowed");
            let detail = problem["detail"].as_str().expect("a detail");
            assert!(detail.contains("circle-registry keys create"), "{detail}");
            let create = app.request(Method::POST, "/v1/keys");
            let create = create.json(&json!({"name": "mine", "scopes": ["admin"]}));
            let answer = Answer::to(create.header(header.0, header.1)).await;
            answer.problem(403, "proxy_not_allowed");
            get(app, "/livez", header, None).await.ok();
            get(app, "/readyz", header, None).await.ok();
        }
        app.get("/v1/circles").await.ok();

        let admin = app.first_key().await;
        for header in ADDED {
            let token = Some(admin.token.as_str());
            get(app, "/v1/circles", header, token).await.ok();
            let answer = get(app, "/v1/circles", header, None).await;
            answer.problem(401, "unauthenticated");
        }
    })
    .await;
}

/// nginx speaks HTTP/1.0 to what is behind a bare `proxy_pass`, and adds no field.
#[tokio::test]
async fn without_keys_http_1_0_is_refused_as_nginx_speaks_it() {
    on_both(async |app| {
        let address = app.base.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let head = format!("GET /v1/circles HTTP/1.0\r\nHost: {address}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("a request");
        let mut answer = String::new();
        let read = timeout(Duration::from_secs(30), stream.read_to_string(&mut answer)).await;
        read.expect("in time").expect("an answer");
        assert!(answer.contains("proxy_not_allowed"), "{answer}");
    })
    .await;
}

#[tokio::test]
async fn insecure_is_the_word_for_a_proxy_without_keys() {
    on_both_databases(async |database| {
        let mut settings = database.settings();
        settings.server.insecure = true;
        let app = TestApp::start(database.backend, settings).await;
        for header in ADDED {
            get(&app, "/v1/circles", header, None).await.ok();
        }
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn every_start_without_keys_is_warned_of_and_one_with_keys_is_not() {
    const WARNING: &str = "no API key exists: everything on this machine";
    on_both_databases(async |database| {
        for _ in 0..2 {
            let server = Server::start_ready(&database.url, &[]).await;
            server.wait_for_log(WARNING).await;
        }
        create_key(&database.url);
        let server = Server::start_ready(&database.url, &[]).await;
        assert!(!server.log().contains(WARNING), "{}", server.log());
    })
    .await;
}

fn create_key(url: &str) -> String {
    let create = ["keys", "create", "--name", "ops", "--scope", "admin"];
    let create = [&create[..], &["--database-url", url]].concat();
    binary::output_of(&create).trim().to_owned()
}

#[tokio::test]
async fn where_a_key_is_required_it_does_not_start_without_one() {
    on_both_databases(async |database| {
        let serve = ["serve", "--bind", "127.0.0.1:0", "--require-key"];
        let serve = [&serve[..], &["--database-url", &database.url]].concat();
        let output = binary::run(&serve);
        assert_eq!(output.status.code(), Some(78));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("circle-registry keys create"), "{stderr}");

        let token = create_key(&database.url);
        let server = Server::start_ready(&database.url, &["--require-key"]).await;
        server
            .get("/v1/circles")
            .await
            .problem(401, "unauthenticated");
        let request = Client::new().get(server.url("/v1/circles"));
        Answer::to(request.bearer_auth(token)).await.ok();
    })
    .await;
}

/// The database is only known once it is there: until then nothing is served.
#[tokio::test]
async fn where_a_key_is_required_a_new_database_serves_nothing() {
    let database = TestDatabase::create_empty(Backend::Sqlite).await;
    let mut settings = database.settings();
    settings.server.require_key = true;
    let started = circle_registry::app::Application::start(settings).await;
    let error = started.expect_err("no key").to_string();
    assert!(error.contains("--require-key"), "{error}");
    database.remove().await;
}
