//! Traces: the spans that a collector gets, in whose trace they are, and what they do not say.

mod collectors;
mod settings;

use reqwest::{Method, header};
use serde_json::{Value, json};

use test_support::{
    Answer, TestApp,
    binary::Server,
    collector::{Collector, ExportedSpan},
    keys::TestKey,
    on_both_databases,
    receiver::{Behavior, Receiver, with_local_receivers},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// The caller's `traceparent`, with its sampled flag.
fn parent(trace: &str, flag: &str) -> String {
    format!("00-{trace}-{SPAN}-{flag}")
}

/// Sends a request in a trace that the caller samples, and waits until it is exported with all that came before.
async fn exported_so_far(app: &TestApp, collector: &Collector) -> Vec<ExportedSpan> {
    const LAST: &str = "00000000000000000000000000000009";
    let request = app.request(Method::GET, "/v1/circles");
    Answer::to(request.header("traceparent", parent(LAST, "01")))
        .await
        .ok();
    let is_last = |span: &ExportedSpan| span.trace_id == LAST && span.kind == "Server";
    let (_, mut spans) = collector.find("last request", is_last).await;
    spans.retain(|span| span.trace_id != LAST);
    spans
}

/// The spans right below this one.
fn below<'s>(parent: &ExportedSpan, spans: &'s [ExportedSpan]) -> Vec<&'s ExportedSpan> {
    let children = spans.iter();
    let children: Vec<_> = children
        .filter(|span| span.parent_id == parent.span_id)
        .collect();
    for child in &children {
        assert_eq!(child.trace_id, parent.trace_id);
        assert_eq!(child.kind, "Client");
        assert!(child.start <= child.end, "{child:?}");
    }
    children
}

#[track_caller]
fn named<'s>(name: &str, spans: &'s [ExportedSpan]) -> &'s ExportedSpan {
    let found = spans.iter().find(|span| span.name == name);
    found.unwrap_or_else(|| panic!("no {name}: {spans:#?}"))
}

#[tokio::test]
async fn a_request_is_a_span_with_its_statements_below_it() {
    on_both_databases(async |database| {
        let collector = Collector::start().await;
        let settings = collector.traced(database.settings(), 1.0);
        let app = TestApp::start(database.backend, settings).await;
        let system = app.get("/v1/pool").await.ok()["backend"].clone();
        app.a_circle("team").await;
        app.get("/v1/circles/team?x=1").await.invalid(&["query/x"]);
        app.get("/v1/circles/team").await.ok();
        app.get("/v1/none").await.problem(404, "route_not_found");
        let spans = exported_so_far(&app, &collector).await;

        let read = spans.iter().rev();
        let mut read = read.filter(|span| span.name == "GET /v1/circles/{circle_name}");
        let (read, refused) = (read.next().expect("a span"), read.next().expect("a span"));
        assert_eq!(read.kind, "Server");
        assert_eq!(read.parent_id, "");
        for (name, value) in [
            ("http.request.method", "GET"),
            ("http.route", "/v1/circles/{circle_name}"),
            ("http.response.status_code", "200"),
            ("url.scheme", "http"),
            ("network.protocol.version", "1.1"),
            ("client.address", "127.0.0.1"),
            ("error.type", ""),
        ] {
            assert_eq!(read.attribute(name), value, "{name}");
        }
        assert_eq!(read.attributes.len(), 6, "{read:?}");
        assert_eq!(refused.attribute("http.response.status_code"), "422");
        assert!(!refused.is_error, "it is the client's error");

        let statements = below(read, &spans);
        assert!(!statements.is_empty(), "{spans:#?}");
        for statement in &statements {
            assert_eq!(statement.attribute("db.system.name"), system);
            assert_eq!(statement.attribute("db.operation.name"), "SELECT");
            assert_eq!(statement.attribute("db.query.summary"), statement.name);
            assert_eq!(statement.attributes.len(), 3, "{statement:?}");
            assert!(statement.end <= read.end, "{statement:?} {read:?}");
        }
        let roster = statements.iter().any(|it| it.name.contains("circles"));
        assert!(roster, "{statements:#?}");

        let write = named("POST /v1/circles", &spans);
        let names = below(write, &spans);
        let names: Vec<&str> = names.iter().map(|span| &*span.name).collect();
        assert_eq!(names.first(), Some(&"BEGIN"), "{names:?}");
        assert_eq!(names.last(), Some(&"COMMIT"), "{names:?}");
        assert!(names.contains(&"INSERT circles"), "{names:?}");

        // Nothing else: no probes, and nothing in the background.
        for span in &spans {
            let is_request = span.kind == "Server";
            assert_eq!(is_request, span.parent_id.is_empty(), "{span:?}");
            assert!(!span.name.contains("readyz") && !span.name.contains("pool"));
        }
        let service = collector.service();
        assert_eq!(service["service.name"], "circle-registry");
        assert_eq!(service["service.version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(service["service.instance.id"].len(), 36);
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_trace_goes_on_from_its_caller_who_decides_whether_it_is_sampled() {
    const SILENT: &str = "11111111111111111111111111111111";
    on_both_databases(async |database| {
        for ratio in [0.0, 1.0] {
            let collector = Collector::start().await;
            let settings = collector.traced(database.settings(), ratio);
            let app = TestApp::start(database.backend, settings).await;
            let ask = async |trace: &str, flag: &str| {
                let request = app.request(Method::GET, "/v1/agents");
                let request = request.header("traceparent", parent(trace, flag));
                Answer::to(request.header("tracestate", "vendor=1,other=2"))
                    .await
                    .ok();
            };
            ask(SILENT, "00").await;
            ask(TRACE, "01").await;
            app.get("/v1/models").await.ok();
            let spans = exported_so_far(&app, &collector).await;
            assert!(spans.iter().all(|span| span.trace_id != SILENT));
            let request = named("GET /v1/agents", &spans);
            assert_eq!(request.trace_id, TRACE);
            assert_eq!(request.parent_id, SPAN);
            assert_eq!(request.trace_state, "vendor=1,other=2");
            assert!(!below(request, &spans).is_empty());
            // Without a caller, the ratio decides.
            let own = spans.iter().find(|span| span.name == "GET /v1/models");
            assert_eq!(own.is_some(), ratio > 0.0, "{spans:#?}");
            assert!(own.is_none_or(|own| own.trace_id != TRACE));
            app.stop().await;
        }
    })
    .await;
}

#[tokio::test]
async fn no_value_of_a_user_leaves_with_a_trace() {
    const CANARY: &str = "Canary";
    on_both_databases(async |database| {
        let collector = Collector::start().await;
        let settings = with_local_receivers(collector.traced(database.settings(), 1.0));
        let app = TestApp::start(database.backend, settings).await;
        let receiver = Receiver::start(Behavior::Status(200)).await;
        let agent = json!({
            "name": "Canary-agent",
            "external_id": "Canary@directory",
            "system_prompt": "Canary prompt",
            "metadata": {"Canary": "x"},
        });
        app.post("/v1/agents", &agent).await.created();
        app.post("/v1/agents", &agent).await.problem(409, "external_id_taken");
        app.a_circle("Canary-circle").await;
        app.get("/v1/circles/Canary-circle").await.ok();
        app.get("/v1/circles/Canary-circle/members?q=Canary").await;
        app.get("/v1/agents?q=Canary&search=Canary").await;
        app.get("/v1/Canary").await.problem(404, "route_not_found");
        app.post("/v1/circles", &json!({"name": "Canary-circle", "Canary": 1})).await;
        let webhook = json!({"name": "Canary-hook", "url": format!("{}/Canary?token=Canary", receiver.url()), "resources": ["circle"]});
        app.post("/v1/webhooks", &webhook).await;
        let by_header = app.request(Method::GET, "/v1/circles").headers(
            [
                (header::HOST, "canary.example"),
                (header::USER_AGENT, "Canary/1"),
                (header::REFERER, "http://localhost/Canary"),
            ]
            .map(|(name, value)| (name, value.parse().expect("a value")))
            .into_iter()
            .collect(),
        );
        Answer::to(by_header.header("x-request-id", "Canary-1")).await;
        let key = app.first_key().await;
        app.get_with("/v1/circles/Canary-circle", &key.token).await.ok();
        let token = search_for(&key);
        let request = app.request(Method::GET, "/v1/circles").bearer_auth(&key.token);
        let last = request.header("traceparent", parent(TRACE, "01"));
        Answer::to(last).await.ok();
        collector.find("last request", |span| span.trace_id == TRACE).await;
        let spans = collector.spans().len();
        assert!(spans > 30, "{spans}");
        for received in collector.receiver.received() {
            let text = String::from_utf8_lossy(&received.body).to_lowercase();
            for secret in [&*CANARY.to_lowercase(), &token] {
                assert!(!text.contains(secret), "{secret} in {}", text.escape_debug());
            }
        }
        app.stop().await;
    })
    .await;
}

/// The secret part of a token.
fn search_for(key: &TestKey) -> String {
    let (_, secret) = key.token.rsplit_once('_').expect("a token");
    secret[..20].to_lowercase()
}

#[tokio::test]
async fn a_webhook_s_receiver_is_told_of_the_delivery_s_trace() {
    on_both_databases(async |database| {
        let collector = Collector::start().await;
        let settings = with_local_receivers(collector.traced(database.settings(), 1.0));
        let app = TestApp::start(database.backend, settings).await;
        let receiver = Receiver::start(Behavior::Status(200)).await;
        let webhook = json!({"name": "w", "url": receiver.url(), "resources": ["agent"]});
        let created = app.post("/v1/webhooks", &webhook).await.created();
        let id = created["webhook"]["id"].to_string();
        app.an_agent("Ada").await;
        receiver.names(1).await;
        receiver.behave(Behavior::Status(500));
        app.post(&format!("/v1/webhooks/{id}/test"), &Value::Null)
            .await
            .ok();
        for (attempt, error) in receiver.received().iter().zip(["", "500"]) {
            let told: Vec<&str> = attempt.headers["traceparent"].split('-').collect();
            assert_eq!((told[0], told[3]), ("00", "01"), "{told:?}");
            assert!(!attempt.headers.contains_key("tracestate"));
            let is_it = |span: &ExportedSpan| span.span_id == told[2];
            let (span, _) = collector.find("delivery", is_it).await;
            assert_eq!(span.trace_id, told[1]);
            assert_eq!(span.name, "POST webhook");
            assert_eq!(span.kind, "Client");
            assert_eq!(span.attribute("http.request.method"), "POST");
            assert_eq!(span.attribute("circle_registry.webhook.id"), id);
            assert_eq!(span.attribute("error.type"), error);
            assert_eq!(span.is_error, !error.is_empty());
            // A delivery has a trace of its own; a test is part of the request's.
            let spans = exported_so_far(&app, &collector).await;
            let test = named("POST /v1/webhooks/{id}/test", &spans);
            let expected = if error.is_empty() { "" } else { &*test.span_id };
            assert_eq!(span.parent_id, expected);
        }
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn without_a_collector_receivers_are_told_of_no_trace() {
    on_both_databases(async |database| {
        let settings = with_local_receivers(database.settings());
        let app = TestApp::start(database.backend, settings).await;
        let receiver = Receiver::start(Behavior::Status(200)).await;
        let webhook = json!({"name": "w", "url": receiver.url(), "resources": ["agent"]});
        app.post("/v1/webhooks", &webhook).await.created();
        let agents = app.request(Method::POST, "/v1/agents");
        let agents = agents.header("traceparent", parent(TRACE, "01"));
        Answer::to(agents.json(&json!({"name": "Ada"})))
            .await
            .created();
        receiver.names(1).await;
        assert!(!receiver.received()[0].headers.contains_key("traceparent"));
        let metrics = app.get("/metrics").await.text;
        assert!(
            !metrics.contains("circle_registry_trace_spans_total"),
            "{metrics}"
        );
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn log_lines_of_a_request_have_the_id_of_its_trace() {
    on_both_databases(async |database| {
        let collector = Collector::start().await;
        let url = collector.url();
        let more = ["--log-format", "json", "--traces-endpoint", &url];
        let more = [&more[..], &["--traces-sample-ratio", "0"]].concat();
        let server = Server::start_ready(&database.url, &more).await;
        for (path, flag) in [("agents", "01"), ("models", "00")] {
            let request = server.client().get(server.url(&format!("/v1/{path}")));
            Answer::to(request.header("traceparent", parent(TRACE, flag)))
                .await
                .ok();
        }
        server.get("/v1/circles").await.ok();
        server.wait_for_log("/v1/circles").await;
        let log = server.log();
        let lines = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let answered: Vec<Value> = lines.filter(|line| line["message"] == "answered").collect();
        for (path, id) in [
            ("/v1/agents", Some(TRACE)),
            ("/v1/models", Some(TRACE)),
            // Nobody knows of this trace.
            ("/v1/circles", None),
        ] {
            let line = answered.iter().find(|line| line["span"]["path"] == path);
            let line = line.unwrap_or_else(|| panic!("no {path}: {log}"));
            assert_eq!(line["span"]["trace_id"].as_str(), id, "{line}");
        }
    })
    .await;
}
