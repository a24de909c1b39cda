//! Metrics for Prometheus, and the rules and the dashboard that read them.

use std::{collections::BTreeSet, net::SocketAddr, path::Path, time::Duration};

use serde_json::{Value, json};
use test_support::{
    Backend, TestApp,
    binary::{self, Server},
    on_both, on_both_databases,
    postgres_server::{Durability, PostgresServer, free_port},
    prometheus::Prometheus,
    receiver::{Behavior, Receiver, with_local_receivers},
};

/// The value of a series; 0 if there is none.
fn value(text: &str, series: &str) -> i64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse().expect("a number"))
}

async fn scraped(app: &TestApp) -> String {
    let answer = app.get("/metrics").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.header("content-type").starts_with("text/plain"));
    answer.text
}

fn requests(method: &str, route: &str, status: u16) -> String {
    format!(
        "http_server_request_duration_seconds_count{{http_request_method=\"{method}\",http_response_status_code=\"{status}\",http_route=\"{route}\"}}"
    )
}

#[tokio::test]
async fn requests_are_counted_by_route_and_status_and_problems_by_code() {
    on_both(async |app| {
        app.a_circle("team").await;
        for _ in 0..3 {
            app.get("/v1/circles/team").await.ok();
        }
        app.get("/v1/circles/none").await.problem(404, "not_found");
        app.post("/v1/circles", &json!({"name": 1}))
            .await
            .invalid(&["#/name"]);
        app.get("/v1/none").await.problem(404, "route_not_found");
        let text = scraped(app).await;
        let route = "/v1/circles/{circle_name}";
        for (series, expected) in [
            (requests("GET", route, 200), 3),
            (requests("GET", route, 404), 1),
            (requests("POST", "/v1/circles", 201), 1),
            (requests("POST", "/v1/circles", 422), 1),
            (
                "circle_registry_problems_total{code=\"not_found\"}".to_owned(),
                1,
            ),
            (
                "circle_registry_problems_total{code=\"invalid_request\"}".to_owned(),
                1,
            ),
            (
                "circle_registry_problems_total{code=\"overloaded\"}".to_owned(),
                0,
            ),
            // The one that asks.
            ("http_server_active_requests".to_owned(), 1),
            (
                "circle_registry_cache_requests_total{result=\"hit\"}".to_owned(),
                2,
            ),
        ] {
            assert_eq!(value(&text, &series), expected, "{series}\n{text}");
        }
        assert!(text.contains("circle_registry_problems_total{code=\"overloaded\"} 0"));
    })
    .await;
}

#[tokio::test]
async fn statements_connections_and_the_process_are_measured() {
    on_both(async |app| {
        let system = app.get("/v1/pool").await.ok()["backend"].as_str().expect("a name").to_owned();
        let statements = format!(
            "db_client_operation_duration_seconds_count{{db_system_name=\"{system}\",error_type=\"\"}}"
        );
        let before = value(&scraped(app).await, &statements);
        app.get("/v1/agents").await.ok();
        let text = scraped(app).await;
        // On PostgreSQL, a scrape asks what holds the feed of changes back.
        let of_scrape = i64::from(app.backend == Backend::Postgres);
        assert_eq!(value(&text, &statements), before + 1 + of_scrape, "{text}");
        let held_back = "circle_registry_changes_held_back_seconds 0\n";
        assert!(text.contains(held_back), "{text}");
        let pool = app.get("/v1/pool").await.ok();
        let maximum = format!("db_client_connection_max{{db_system_name=\"{system}\"}}");
        assert_eq!(value(&text, &maximum), pool["max"].as_i64().expect("a number"));
        let version = format!(
            "circle_registry_build_info{{version=\"{}\"}}",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(value(&text, &version), 1);
        assert!(value(&text, "process_resident_memory_bytes") > 1_000_000);
    })
    .await;
}

#[tokio::test]
async fn webhooks_are_counted_by_state_and_attempts_by_outcome() {
    on_both_databases(async |database| {
        let receiver = Receiver::start(Behavior::Status(200)).await;
        let settings = with_local_receivers(database.settings());
        let app = TestApp::start(database.backend, settings).await;
        let none = scraped(&app).await;
        for state in ["active", "failing", "paused", "disabled"] {
            let series = format!("circle_registry_webhooks{{state=\"{state}\"}} 0\n");
            assert!(none.contains(&series), "{none}");
        }
        let attempts = |outcome: &str| {
            format!("circle_registry_webhook_attempts_total{{outcome=\"{outcome}\"}}")
        };
        assert!(
            none.contains(&format!("{} 0\n", attempts("gone"))),
            "{none}"
        );
        let webhook = json!({"name": "w", "url": receiver.url(), "resources": ["agent"]});
        app.post("/v1/webhooks", &webhook).await.created();
        app.post(
            "/v1/webhooks",
            &json!({"name": "off", "url": receiver.url(), "is_enabled": false}),
        )
        .await
        .created();
        app.an_agent("Ada").await;
        receiver.names(1).await;
        receiver.behave(Behavior::Status(410));
        app.an_agent("Bob").await;
        let mut text = String::new();
        for _ in 0..3000 {
            text = scraped(&app).await;
            if value(&text, "circle_registry_webhooks{state=\"paused\"}") == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for (series, expected) in [
            (attempts("delivered"), 1),
            (attempts("gone"), 1),
            (attempts("timed_out"), 0),
            ("circle_registry_webhooks{state=\"paused\"}".to_owned(), 1),
            ("circle_registry_webhooks{state=\"disabled\"}".to_owned(), 1),
            ("circle_registry_webhooks{state=\"active\"}".to_owned(), 0),
            ("circle_registry_webhook_lag_seconds".to_owned(), 0),
        ] {
            assert_eq!(value(&text, &series), expected, "{series}\n{text}");
        }
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_clients_make_up_adds_no_series() {
    on_both(async |app| {
        let made_up = async |name: usize| {
            app.get(&format!("/v1/circles/{name}")).await;
            app.get(&format!("/v1/none-{name}/x")).await;
            app.get(&format!("/v1/circles/{name}/handles?label=l{name}"))
                .await;
            let method = format!("M{name}").parse().expect("a method");
            app.send(method, "/v1/circles", None).await;
        };
        let series = |text: &str| -> BTreeSet<String> {
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            let names = lines.filter_map(|line| line.rsplit_once(' '));
            names.map(|(name, _)| name.to_owned()).collect()
        };
        scraped(app).await;
        made_up(0).await;
        let before = series(&scraped(app).await);
        for name in 1..20 {
            made_up(name).await;
        }
        assert_eq!(series(&scraped(app).await), before);
    })
    .await;
}

#[tokio::test]
async fn metrics_have_an_address_of_their_own_that_serves_nothing_else() {
    on_both_databases(async |database| {
        let create = ["keys", "create", "--name", "k", "--scope", "read"];
        binary::output_of(&[&create, &["--database-url", &database.url][..]].concat());
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let bind = address.to_string();
        let settings = ["--metrics-bind", &bind, "--require-key"];
        let server = Server::start_ready(&database.url, &settings).await;
        let ask = async |path: &str| {
            let response = server.client().get(format!("http://{address}{path}"));
            response.send().await.expect("an answer")
        };
        let metrics = ask("/metrics").await;
        assert_eq!(metrics.status(), 200);
        let text = metrics.text().await.expect("text");
        assert!(text.contains("circle_registry_build_info"), "{text}");
        for path in ["/", "/v1/circles", "/livez", "/metrics/x"] {
            assert_eq!(ask(path).await.status(), 404, "{path}");
        }
        server.get("/metrics").await.problem(401, "unauthenticated");
    })
    .await;
}

/// The expressions of the dashboard's panels.
fn queries_of_the_dashboard() -> Vec<String> {
    let text = std::fs::read_to_string("deploy/grafana/dashboard.json").expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("queries"));
    let queries = targets.map(|target| target["expr"].as_str().expect("an expression"));
    let queries = queries.map(|query| query.replace("$__rate_interval", "1m"));
    queries
        .map(|query| query.replace("$instance", ".*"))
        .collect()
}

/// What the rules compare with a threshold, which is there even while nothing is wrong.
async fn compared_by_rules(prometheus: &Prometheus) -> Vec<String> {
    let rules = prometheus.rules().await;
    assert!(rules.len() >= 8, "{rules:?}");
    let compared = rules.iter().map(|rule| {
        let query = rule["query"].as_str().expect("an expression");
        let at = query.rfind([' ']).expect("a threshold");
        query[..at].trim_end_matches([' ', '<', '>']).to_owned()
    });
    compared.collect()
}

fn is_of_replicas(query: &str) -> bool {
    query.contains("circle_registry_replica_")
}

/// Sends requests until every query finds series.
async fn assert_found(server: &Server, prometheus: &Prometheus, queries: Vec<String>) {
    let mut missing = queries;
    for _ in 0..60 {
        server.get("/v1/circles").await.ok();
        server
            .get("/v1/circles/none")
            .await
            .problem(404, "not_found");
        let mut still_missing = Vec::new();
        for query in missing {
            if prometheus.query(&query).await.is_empty() {
                still_missing.push(query);
            }
        }
        missing = still_missing;
        if missing.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[tokio::test]
async fn prometheus_finds_what_the_alerts_and_the_dashboard_ask_for() {
    on_both_databases(async |database| {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let bind = address.to_string();
        let server = Server::start_ready(&database.url, &["--metrics-bind", &bind]).await;
        let rules = Path::new("deploy/prometheus/alerts.yml");
        let prometheus = Prometheus::start(address, rules).await;
        let all = compared_by_rules(&prometheus).await.into_iter();
        let all = all.chain(queries_of_the_dashboard());
        let of_all_services = all.filter(|query| !is_of_replicas(query)).collect();
        assert_found(&server, &prometheus, of_all_services).await;
        let alerts = prometheus.query("ALERTS").await;
        assert!(alerts.is_empty(), "{alerts:?}");
    })
    .await;
}

#[tokio::test]
async fn prometheus_finds_what_is_asked_of_replicas() {
    let mut primary = PostgresServer::create(Durability::Off);
    primary.start_ready().await;
    let mut standby = primary.create_standby();
    standby.start_ready().await;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let (bind, replica) = (address.to_string(), standby.url_of("postgres"));
    let settings = ["--metrics-bind", &bind, "--read-database-url", &replica];
    let server = Server::start_ready(&primary.url_of("postgres"), &settings).await;
    let prometheus = Prometheus::start(address, Path::new("deploy/prometheus/alerts.yml")).await;
    let all = compared_by_rules(&prometheus).await.into_iter();
    let all = all.chain(queries_of_the_dashboard());
    let of_replicas: Vec<String> = all.filter(|query| is_of_replicas(query)).collect();
    assert_eq!(of_replicas.len(), 3, "{of_replicas:?}");
    assert_found(&server, &prometheus, of_replicas).await;
}
