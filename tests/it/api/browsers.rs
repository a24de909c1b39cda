//! Browsers: security headers of every response, and CORS.

use circle_registry::config::CorsOrigin;
use reqwest::Method;
use serde_json::json;

use test_support::{Answer, Backend, TestApp, TestDatabase, binary};

const LISTED: &str = "https://console.example";

async fn with_app(origins: &[&str], test: impl AsyncFnOnce(&TestApp)) {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let mut settings = database.settings();
    let parsed = origins.iter().map(|origin| origin.parse::<CorsOrigin>());
    settings.server.cors_origin = parsed.collect::<Result<_, _>>().expect("origins");
    let app = TestApp::start(database.backend, settings).await;
    test(&app).await;
    app.stop().await;
    database.remove().await;
}

async fn from_page(app: &TestApp, method: Method, path: &str, origin: &str) -> Answer {
    let request = app.request(method, path).header("origin", origin);
    Answer::to(request.header("access-control-request-method", "PATCH")).await
}

#[tokio::test]
async fn every_answer_says_what_it_is_and_that_nothing_runs_in_it() {
    with_app(&[], async |app| {
        for path in [
            "/v1/circles",
            "/v1/circles/nobody",
            "/nowhere",
            "/livez",
            "/openapi.json",
            "/docs",
            "/v1/keys",
        ] {
            let answer = app.get(path).await;
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
            let policy = answer.header("content-security-policy");
            assert!(
                policy.starts_with("default-src 'none'; "),
                "{path}: {policy}"
            );
            assert!(
                policy.ends_with("frame-ancestors 'none'"),
                "{path}: {policy}"
            );
            let runs_scripts = policy.contains("script-src 'sha256-");
            assert_eq!(runs_scripts, path == "/docs", "{path}: {policy}");
            assert!(!policy.contains("unsafe-eval"), "{policy}");
            let is_document = ["/docs", "/openapi.json"].contains(&path);
            let varies = if is_document { "Accept-Encoding" } else { "" };
            assert_eq!(answer.header("vary"), varies, "{path}");
            let stored = answer.header("cache-control") != "no-store";
            assert_eq!(stored, path != "/v1/keys", "{path}");
        }
        let new = json!({"name": "operator", "scopes": ["admin"]});
        let created = app.post("/v1/keys", &new).await;
        assert_eq!(created.header("cache-control"), "no-store");
        let one = app.get("/v1/keys/1").await;
        assert_eq!(one.header("cache-control"), "no-store");
    })
    .await;
}

#[tokio::test]
async fn only_pages_of_listed_sites_may_ask_and_read() {
    with_app(&[LISTED, "http://localhost:3000"], async |app| {
        let asked = from_page(app, Method::OPTIONS, "/v1/circles/team", LISTED).await;
        assert_eq!(asked.status, 204);
        assert_eq!(asked.header("access-control-allow-origin"), LISTED);
        assert!(
            asked
                .header("access-control-allow-methods")
                .contains("PATCH")
        );
        let headers = asked.header("access-control-allow-headers");
        assert!(headers.contains("Authorization") && headers.contains("If-Match"));
        assert!(headers.contains("Traceparent"), "{headers}");
        assert_eq!(asked.header("access-control-allow-credentials"), "");
        assert_eq!(asked.header("vary"), "Origin");

        let new = json!({"name": "page", "scopes": ["read"]});
        let created = app.post("/v1/keys", &new).await.created();
        let token = created["token"].as_str().expect("a token");
        let read = |origin: &'static str| {
            let request = app.request(Method::GET, "/v1/circles").bearer_auth(token);
            Answer::to(request.header("origin", origin))
        };
        let answer = read(LISTED).await;
        assert_eq!(answer.header("access-control-allow-origin"), LISTED);
        let exposed = answer.header("access-control-expose-headers");
        assert!(exposed.contains("ETag") && exposed.contains("X-Request-Id"));
        answer.ok();
        for stranger in [
            "https://console.example.evil",
            "http://console.example",
            "https://console.example:8443",
            "https://CONSOLE.example",
            "null",
        ] {
            let answer = read(stranger).await;
            assert_eq!(
                answer.header("access-control-allow-origin"),
                "",
                "{stranger}"
            );
            assert_eq!(answer.header("vary"), "Origin", "{stranger}");
            let asked = from_page(app, Method::OPTIONS, "/v1/circles", stranger).await;
            assert_eq!(
                asked.header("access-control-allow-origin"),
                "",
                "{stranger}"
            );
            asked.problem(405, "method_not_allowed");
        }
        // Pages can read an error like any other response.
        let request = app.request(Method::GET, "/v1/circles");
        let refused = Answer::to(request.header("origin", LISTED)).await;
        assert_eq!(refused.header("access-control-allow-origin"), LISTED);
        assert_eq!(refused.status, 401);
    })
    .await;
}

#[tokio::test]
async fn without_a_list_no_other_page_may_ask() {
    with_app(&[], async |app| {
        let asked = from_page(app, Method::OPTIONS, "/v1/circles", LISTED).await;
        assert_eq!(asked.header("access-control-allow-origin"), "");
        assert_eq!(asked.header("access-control-allow-methods"), "");
        assert!(asked.status >= 400, "{}", asked.status);
    })
    .await;
}

#[test]
fn what_no_browser_would_send_is_no_origin() {
    for wrong in [
        "*",
        "null",
        "console.example",
        "https://console.example/",
        "ftp://host",
    ] {
        let output = binary::run(&["serve", "--cors-origin", wrong]);
        assert!(!output.status.success(), "{wrong}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("must be an origin"), "{wrong}: {said}");
    }
}

#[tokio::test]
async fn without_keys_a_page_on_another_port_of_this_machine_changes_nothing() {
    with_app(&[LISTED], async |app| {
        app.a_circle("team").await;
        let start = async |origin: &str| {
            let request = app.request(Method::POST, "/v1/circles/team/start");
            Answer::to(request.header("origin", origin)).await
        };
        for stranger in [
            "http://localhost:3000",
            "http://127.0.0.1:1",
            "http://127.0.0.1",
            "null",
        ] {
            start(stranger).await.problem(403, "origin_not_allowed");
        }
        assert_eq!(app.get("/v1/circles/team").await.ok()["status"], "stopped");
        let port = app.base.rsplit(':').next().expect("a port");
        for own in [
            app.base.clone(),
            format!("http://localhost:{port}"),
            LISTED.to_owned(),
        ] {
            start(&own).await.ok();
        }
    })
    .await;
}
