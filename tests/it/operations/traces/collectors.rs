//! Collectors that fail: no request waits for them, and what they do not take is counted.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use test_support::{
    TestApp, TestDatabase,
    binary::Server,
    collector::{Collector, ExportedSpan, takes_all_but},
    on_both_databases,
    postgres::free_port,
    receiver::Behavior,
};

/// How long a test waits for a number of spans.
const COUNT_TIMEOUT: Duration = Duration::from_mins(2);

async fn spans_that_were(outcome: &str, app: &TestApp) -> u64 {
    let text = app.get("/metrics").await.text;
    let series = format!("circle_registry_trace_spans_total{{outcome=\"{outcome}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&series));
    line.unwrap_or_else(|| panic!("no {series}: {text}"))
        .parse()
        .expect("a number")
}

async fn wait_for_spans_that_were(outcome: &str, at_least: u64, app: &TestApp) {
    let deadline = Instant::now() + COUNT_TIMEOUT;
    while spans_that_were(outcome, app).await < at_least {
        assert!(Instant::now() < deadline, "{outcome}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn started(database: &TestDatabase, collector: &Collector) -> TestApp {
    let settings = collector.traced(database.settings(), 1.0);
    TestApp::start(database.backend, settings).await
}

#[tokio::test]
async fn spans_are_counted_by_what_becomes_of_them() {
    on_both_databases(async |database| {
        let collector = Collector::start().await;
        let app = started(database, &collector).await;
        for outcome in ["exported", "dropped", "failed"] {
            assert_eq!(spans_that_were(outcome, &app).await, 0, "{outcome}");
        }
        app.get("/v1/agents").await.ok();
        wait_for_spans_that_were("exported", 2, &app).await;
        assert_eq!(spans_that_were("failed", &app).await, 0);
        collector.receiver.behave(takes_all_but(1));
        app.get("/v1/agents").await.ok();
        wait_for_spans_that_were("failed", 1, &app).await;
        collector.receiver.behave(Behavior::Status(500));
        app.get("/v1/agents").await.ok();
        wait_for_spans_that_were("failed", 3, &app).await;
        collector.receiver.behave(takes_all_but(0));
        let exported = spans_that_were("exported", &app).await;
        app.get("/v1/agents").await.ok();
        wait_for_spans_that_were("exported", exported + 2, &app).await;
        assert_eq!(spans_that_were("dropped", &app).await, 0);
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_batch_that_a_busy_collector_refuses_is_sent_again() {
    on_both_databases(async |database| {
        let collector = Collector::start().await;
        collector.receiver.behave(Behavior::Status(503));
        let app = started(database, &collector).await;
        app.a_circle("team").await;
        let refused = |received: &[_]| !received.is_empty();
        collector.receiver.wait_until("a batch", refused).await;
        collector.receiver.behave(takes_all_but(0));
        let is_it = |span: &ExportedSpan| span.name == "POST /v1/circles";
        collector.find("the circle's span", is_it).await;
        wait_for_spans_that_were("exported", 1, &app).await;
        assert_eq!(spans_that_were("failed", &app).await, 0);
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_collector_that_does_not_answer_delays_no_request() {
    on_both_databases(async |database| {
        let collector = Collector::start().await;
        collector.receiver.behave(Behavior::Never);
        let app = started(database, &collector).await;
        app.get("/v1/agents").await.ok();
        let deadline = Instant::now() + COUNT_TIMEOUT;
        while collector.receiver.open_now() == 0 {
            assert!(Instant::now() < deadline, "no batch");
            sleep(Duration::from_millis(20)).await;
        }
        // While that batch is under way.
        for number in 0..20 {
            let name = format!("circle-{number}");
            app.post("/v1/circles", &json!({"name": name}))
                .await
                .created();
            app.get(&format!("/v1/circles/{name}")).await.ok();
        }
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_collector_that_is_down_is_logged_once_and_so_is_its_return() {
    on_both_databases(async |database| {
        let collector = Collector::start().await;
        collector.receiver.behave(Behavior::Status(500));
        let url = collector.url();
        let settings = ["--traces-endpoint", &url, "--traces-sample-ratio", "1"];
        let server = Server::start_ready(&database.url, &settings).await;
        for batches in 1..=3 {
            server.get("/v1/circles").await.ok();
            let refused = |received: &[_]| received.len() >= batches;
            collector.receiver.wait_until("batches", refused).await;
        }
        collector.receiver.behave(takes_all_but(0));
        server.get("/v1/circles").await.ok();
        server
            .wait_for_log("the collector takes traces again")
            .await;
        server.signal("-TERM");
        let (code, log) = server.end().await;
        assert_eq!(code, Some(0), "{log}");
        let failures = log.matches("traces can't be exported").count();
        assert_eq!(failures, 1, "{log}");
        assert!(log.contains("the collector answers 500"), "{log}");
    })
    .await;
}

#[tokio::test]
async fn the_last_spans_are_exported_at_shutdown() {
    on_both_databases(async |database| {
        let collector = Collector::start().await;
        let app = started(database, &collector).await;
        app.a_circle("team").await;
        app.stop().await;
        let spans = collector.spans();
        let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
        assert!(names.contains(&"POST /v1/circles"), "{names:?}");
    })
    .await;
}

#[tokio::test]
async fn a_collector_that_does_not_answer_does_not_hold_up_the_shutdown() {
    on_both_databases(async |database| {
        let collector = Collector::start().await;
        collector.receiver.behave(Behavior::Never);
        let url = collector.url();
        let settings = ["--traces-endpoint", &url, "--traces-sample-ratio", "1"];
        let more = [&settings[..], &["--shutdown-delay", "0s"]].concat();
        let server = Server::start_ready(&database.url, &more).await;
        server.get("/v1/circles").await.ok();
        server.signal("-TERM");
        let (code, log) = server.end().await;
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("the last spans are dropped"), "{log}");
    })
    .await;
}

#[tokio::test]
async fn a_service_starts_and_stops_without_its_collector() {
    on_both_databases(async |database| {
        let url = format!("http://127.0.0.1:{}", free_port());
        let settings = ["--otlp-endpoint", &url, "--traces-sample-ratio", "1"];
        let server = Server::start_ready(&database.url, &settings).await;
        server.get("/v1/circles").await.ok();
        server.signal("-TERM");
        let (code, log) = server.end().await;
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("the collector can't be reached"), "{log}");
    })
    .await;
}
