//! Safe defaults: whom a service without keys serves, and where it listens.

use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use serde_json::json;

use test_support::{
    Answer, Backend, TestApp, TestDatabase, binary,
    binary::Server,
    on_both, on_both_databases,
    postgres_server::{Durability, PostgresServer},
};

const EVERYWHERE: &str = "0.0.0.0:0";

async fn asked_by(app: &TestApp, name: &str, value: &str) -> Answer {
    let request = app.request(Method::POST, "/v1/circles/none/start");
    Answer::to(request.header(name, value)).await
}

#[tokio::test]
async fn a_service_without_keys_answers_by_loopback_names_only() {
    on_both(async |app| {
        for host in ["localhost", "localhost:1234", "127.0.0.1", "[::1]:80"] {
            let answer = asked_by(app, "host", host).await;
            answer.problem(404, "not_found");
        }
        for host in [
            "evil.example",
            "evil.example:8000",
            "127.0.0.1.evil.example",
        ] {
            let answer = asked_by(app, "host", host).await;
            answer.problem(421, "host_not_allowed");
        }
        let answer = asked_by(app, "origin", &app.base).await;
        answer.problem(404, "not_found");
        for origin in ["https://evil.example", "null"] {
            let answer = asked_by(app, "origin", origin).await;
            answer.problem(403, "origin_not_allowed");
        }
        // Operations that need no key respond under any name: probes may come from anywhere.
        let request = app.request(Method::GET, "/livez");
        Answer::to(request.header("host", "evil.example"))
            .await
            .ok();
        // A key identifies the caller, so the name does not matter.
        let key = app.first_key().await;
        let request = app.request(Method::GET, "/v1/circles");
        let request = request.header("host", "registry.example");
        Answer::to(request.bearer_auth(&key.token)).await.ok();
    })
    .await;
}

#[tokio::test]
async fn further_names_can_be_listed() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let more = ["--allowed-host", "registry.example,other.example"];
    let server = Server::start_ready(&database.url, &more).await;
    for (host, status) in [
        ("registry.example:8000", 200),
        ("other.example", 200),
        ("evil.example", 421),
    ] {
        let request = server.client().get(server.url("/v1/circles"));
        let answer = Answer::to(request.header(header::HOST, host)).await;
        assert_eq!(answer.status, status, "{host}");
    }
    drop(server);
    database.remove().await;
}

#[tokio::test]
async fn the_first_key_ends_the_time_without_here_and_everywhere() {
    on_both_databases(async |database| {
        let mut settings = database.settings();
        settings.server.key_check_interval = Duration::from_millis(300);
        let one = TestApp::start(database.backend, settings.clone()).await;
        let other = TestApp::start(database.backend, settings.clone()).await;
        one.get("/v1/circles").await.ok();
        other.get("/v1/circles").await.ok();
        let key = one.first_key().await;
        one.get("/v1/circles").await.problem(401, "unauthenticated");
        tokio::time::sleep(settings.server.key_check_interval).await;
        let answer = other.get("/v1/circles").await;
        answer.problem(401, "unauthenticated");
        other.get_with("/v1/circles", &key.token).await.ok();

        // Not even when no key is valid any more: otherwise any client could create a key then.
        let path = format!("/v1/keys/{}", key.id);
        let answer = one.ask(Method::DELETE, &path, None, &key.token).await;
        answer.no_content();
        let third = TestApp::start(database.backend, settings).await;
        for app in [&one, &other, &third] {
            let body = json!({"name": "again", "scopes": ["admin"]});
            let answer = app.post("/v1/keys", &body).await;
            answer.problem(401, "unauthenticated");
        }
        for app in [one, other, third] {
            app.stop().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_token_is_never_ignored() {
    on_both(async |app| {
        for token in ["x", "crk_1_x"] {
            let answer = app.get_with("/v1/circles", token).await;
            answer.problem(401, "unauthenticated");
        }
        app.get("/v1/circles").await.ok();
    })
    .await;
}

fn serve(database: &TestDatabase, more: &[&str]) -> (Option<i32>, String) {
    let mut arguments = vec![
        "serve",
        "--bind",
        EVERYWHERE,
        "--database-url",
        &database.url,
    ];
    arguments.extend(more);
    let output = binary::run(&arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

fn create_key(database: &TestDatabase, more: &[&str]) -> String {
    let mut arguments = vec!["keys", "create", "--name", "x", "--scope", "admin"];
    arguments.extend(["--database-url", &database.url]);
    arguments.extend(more);
    binary::output_of(&arguments).trim().to_owned()
}

#[tokio::test]
async fn an_address_that_others_reach_takes_a_usable_key() {
    on_both_databases(async |database| {
        let refused = |why: &str| {
            let (code, said) = serve(database, &[]);
            assert_eq!(code, Some(78), "{why}: {said}");
            for part in ["keys create", "127.0.0.1", "--insecure"] {
                assert!(said.contains(part), "{why}: {said}");
            }
        };
        refused("no key");
        create_key(database, &[]);
        binary::output_of(&["keys", "revoke", "1", "--database-url", &database.url]);
        refused("a key that is revoked");
        create_key(database, &["--expires", "5s"]);
        tokio::time::sleep(Duration::from_millis(5100)).await;
        refused("a key that has expired");

        let token = create_key(database, &[]);
        let server = Server::start_for_all(&database.url, &[]).await;
        server.wait_for("/readyz", StatusCode::OK).await;
        server
            .get("/v1/circles")
            .await
            .problem(401, "unauthenticated");
        let request = server.client().get(server.url("/v1/circles"));
        let request = request.header(header::HOST, "registry.example");
        Answer::to(request.bearer_auth(&token)).await.ok();
        drop(server);
    })
    .await;
}

#[tokio::test]
async fn an_address_that_others_reach_is_judged_as_soon_as_the_database_is_there() {
    let mut postgres = PostgresServer::create(Durability::Off);
    let server = Server::start_for_all(&postgres.url_of("postgres"), &[]).await;
    let answer = server.get("/v1/circles").await;
    answer.problem(503, "starting");
    postgres.start_ready().await;
    let (code, said) = server.end().await;
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("keys create"), "{said}");
}

#[tokio::test]
async fn whoever_says_insecure_gets_it_and_a_warning() {
    on_both_databases(async |database| {
        for _ in 0..2 {
            let server = Server::start_for_all(&database.url, &["--insecure"]).await;
            server.wait_for("/readyz", StatusCode::OK).await;
            let request = server.client().get(server.url("/v1/circles"));
            Answer::to(request.header(header::HOST, "any.example"))
                .await
                .ok();
            assert!(server.log().contains("INSECURE"), "{}", server.log());
        }
        // If there are keys, they are required all the same.
        let token = create_key(database, &[]);
        let server = Server::start_for_all(&database.url, &["--insecure"]).await;
        server.wait_for("/readyz", StatusCode::OK).await;
        server
            .get("/v1/circles")
            .await
            .problem(401, "unauthenticated");
        let request = server.client().get(server.url("/v1/circles"));
        Answer::to(request.bearer_auth(&token)).await.ok();
    })
    .await;
}
