//! The bounds that docs/operations.md promises: the worst request that the other bounds allow is sent to every
//! operation, and its CPU time, its memory and the size of its response are held within them.
//!
//! A debug build gets twenty times the CPU time. The promise is tested on an optimized build:
//! `cargo build --release && TEST_PROGRAM=target/release/circle-registry tests/run promised_bounds -- --nocapture`

mod bodies;
mod reads;
mod writes;

use std::{collections::BTreeSet, time::Duration};

use entity::agent;
use futures_util::future::join_all;
use reqwest::Method;
use sea_orm::{ConnectionTrait, IdenStatic, Iterable};
use serde_json::{Value, json};

use test_support::{
    Answer, Backend, TestDatabase,
    binary::{self, Server},
    connect_to,
    faults::report,
};

use bodies::{
    AGENTS, LARGE_AGENTS, PUBLISHED, READ_AHEAD, agent, agent_with_lines, circle, conversation,
    mcp_server, members, message, model, provider, webhook, wide_json,
};

/// The promise for one request.
const MAX_CPU: Duration = Duration::from_millis(500);
const MAX_MEMORY: u64 = 64 << 20;
/// A response has at most 8 MiB, and one row more; the two parts of a list with related rows have as much each.
const MAX_RESPONSE: usize = 20 << 20;
/// The promise for 256 requests at once.
const MAX_MEMORY_TOGETHER: u64 = 1 << 30;
/// What a debug build may take besides: its readers are slower than SQLite, and four connections read 64 rows of 2 MB
/// ahead.
const MAX_READ_AHEAD_OF_DEBUG_BUILD: u64 = 4 * 64 * (2 << 20);

/// How long a busy machine may take for a response. What is measured is processor time and memory.
const RESPONSE_TIMEOUT: Duration = Duration::from_mins(5);

/// How many times as long a debug build may take.
fn slowness() -> u32 {
    if binary::other_program().is_some() {
        1
    } else {
        20
    }
}

/// An operation, and a request to it.
type WorstRequest = (&'static str, Method, &'static str, Option<Value>);

struct Bounded {
    server: Server,
    token: String,
}

impl Bounded {
    async fn start(database: &TestDatabase) -> Self {
        let create = ["keys", "create", "--name", "admin", "--scope", "admin"];
        let create = [&create[..], &["--database-url", &database.url]].concat();
        let token = binary::output_of(&create).trim().to_owned();
        let settings = [
            "--log",
            "warn",
            "--rate-limit-reads",
            "0",
            "--rate-limit-writes",
            "0",
            "--request-timeout",
            "60s",
            "--db-statement-timeout",
            "30s",
        ];
        let server = Server::start_ready(&database.url, &settings).await;
        Self { server, token }
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = self.server.client().request(method, self.server.url(path));
        let mut request = request.bearer_auth(&self.token).timeout(RESPONSE_TIMEOUT);
        if let Some(body) = body {
            let body = body.to_string();
            assert!(body.len() <= 2 << 20, "{path}: {}", body.len());
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        Answer::to(request).await
    }

    async fn created(&self, path: &str, body: &Value) {
        self.send(Method::POST, path, Some(body)).await.created();
    }

    /// The largest rows, and the fullest circle.
    async fn fill(&self) {
        for index in 0..10 {
            self.created("/v1/providers", &provider(&format!("provider-{index}")))
                .await;
            self.created("/v1/models", &model(&format!("model-{index}")))
                .await;
        }
        for _ in 0..60 {
            self.created("/v1/webhooks", &webhook()).await;
        }
        for index in 0..3 {
            let server = mcp_server(&format!("server-{index}"));
            self.created("/v1/mcp-servers", &server).await;
        }
        for _ in 0..LARGE_AGENTS {
            self.created("/v1/agents", &agent()).await;
        }
        let small: Vec<Value> = (LARGE_AGENTS..AGENTS)
            .map(|id| json!({"name": format!("agent {id}")}))
            .collect();
        for agents in small.chunks(16) {
            join_all(agents.iter().map(|agent| self.created("/v1/agents", agent))).await;
        }
        self.created("/v1/agents", &agent_with_lines(0)).await;
        let path = format!("/v1/agents/{}", AGENTS + 1);
        let body = agent_with_lines(1);
        self.send(Method::PATCH, &path, Some(&body)).await.ok();
        for name in ["full", "large"] {
            self.created("/v1/circles", &circle(name)).await;
            let path = format!("/v1/circles/{name}/members");
            let body = json!({"members": members()});
            self.send(Method::PUT, &path, Some(&body)).await.ok();
        }
        // As many large agents as fit into a release. What the provider adds to each handle would be larger.
        let mut agent = agent();
        agent["model_id"] = Value::Null;
        agent["fallback_model_ids"] = json!([]);
        let mut published = Vec::new();
        for _ in 0..PUBLISHED {
            let agent = self.send(Method::POST, "/v1/agents", Some(&agent)).await;
            published.push(json!({"agent_id": agent.created()["id"]}));
        }
        for (name, members) in [("released", published), ("none", Vec::new())] {
            self.created("/v1/circles", &json!({"name": name})).await;
            let path = format!("/v1/circles/{name}/members");
            let body = json!({"members": members});
            self.send(Method::PUT, &path, Some(&body)).await.ok();
        }
        for id in 1..=LARGE_AGENTS {
            let path = format!("/v1/circles/large/members/{id}");
            let body = json!({"permissions": wide_json()});
            self.send(Method::PATCH, &path, Some(&body)).await.ok();
        }
        for _ in 0..10 {
            self.created("/v1/conversations", &conversation()).await;
            self.created("/v1/conversations/1/messages", &message())
                .await;
        }
    }

    /// What large rows take that SQLite's driver reads before it hears that the response is full. The reader of a debug build
    /// is so slow that all of them are read.
    async fn check_with_rows_to_read_ahead(&self, database: &TestDatabase) {
        let columns: Vec<&str> = agent::Column::iter()
            .filter(|column| !matches!(column, agent::Column::Id))
            .map(|column| column.as_str())
            .collect();
        let columns = columns.join(", ");
        let copy =
            format!("INSERT INTO agents ({columns}) SELECT {columns} FROM agents WHERE id = 2");
        let db = connect_to(&database.url).await;
        for _ in 0..READ_AHEAD {
            db.execute_unprepared(&copy).await.expect("a copy");
        }
        let path = "/v1/agents?limit=200&sort=-name";
        let read_ahead = if slowness() > 1 {
            MAX_READ_AHEAD_OF_DEBUG_BUILD
        } else {
            0
        };
        let list = self.send(Method::GET, path, None);
        let max_memory = MAX_MEMORY + read_ahead / 4;
        let list = self.measure_within(max_memory, "list_agents", list).await;
        list.ok();
        self.check_together(path, MAX_MEMORY_TOGETHER + read_ahead)
            .await;
    }

    /// What the process takes for a list, asked for 256 times at once.
    async fn check_together(&self, path: &str, max_memory: u64) {
        let process = self.server.process();
        process.reset_peak_memory();
        let ask = async || {
            let request = self.server.client().get(self.server.url(path));
            let request = request.timeout(RESPONSE_TIMEOUT);
            let answer = request
                .bearer_auth(&self.token)
                .send()
                .await
                .expect("an answer");
            let status = answer.status();
            answer.bytes().await.expect("a body");
            status
        };
        let statuses = join_all((0..256).map(|_| ask())).await;
        let served = statuses.iter().filter(|status| status.is_success()).count();
        let memory = process.peak_memory();
        report(
            "256 at once",
            &format!("{served} served, {} MiB", memory >> 20),
        );
        assert!(
            served > 0 && memory <= max_memory,
            "{served}, {} MiB",
            memory >> 20
        );
    }

    /// What the process takes for one request.
    async fn check(&self, operation: &str, method: Method, path: &str, body: Option<&Value>) {
        let answer = self.send(method, path, body);
        let answer = self.measure(operation, answer).await;
        let (status, length) = (answer.status, answer.text.len());
        let start: String = answer.text.chars().take(300).collect();
        assert!(
            (200..300).contains(&status) || start.contains("response_too_large"),
            "{operation}: {status} {start}"
        );
        let is_streamed = operation == "get_transcript";
        assert!(
            is_streamed || length <= MAX_RESPONSE,
            "{operation}: {length} bytes"
        );
    }

    /// The same for a response that is compressed.
    async fn check_compressed(&self, operation: &str, path: &str) {
        let request = self.server.client().get(self.server.url(path));
        let request = request
            .header("accept-encoding", "gzip")
            .timeout(RESPONSE_TIMEOUT);
        let compressed = async {
            let response = request.bearer_auth(&self.token).send().await;
            let response = response.expect("an answer");
            let is_compressed = response.headers().contains_key("content-encoding");
            let body = response.bytes().await.expect("a body");
            is_compressed || body.len() < 1 << 10
        };
        let name = format!("{operation}, compressed");
        let is_compressed = self.measure(&name, compressed).await;
        assert!(is_compressed || operation == "get_transcript", "{name}");
    }

    /// Sends a request, and holds the process to what it may take for it.
    async fn measure<T>(&self, operation: &str, answer: impl Future<Output = T>) -> T {
        self.measure_within(MAX_MEMORY, operation, answer).await
    }

    async fn measure_within<T>(
        &self,
        max_memory: u64,
        operation: &str,
        answer: impl Future<Output = T>,
    ) -> T {
        let process = self.server.process();
        let (cpu, memory) = (process.cpu(), process.reset_peak_memory());
        let answer = answer.await;
        let cpu = process.cpu().saturating_sub(cpu);
        let memory = process.peak_memory().saturating_sub(memory);
        report(operation, &format!("{cpu:?} of CPU, {} KiB", memory >> 10));
        assert!(cpu <= slowness() * MAX_CPU, "{operation}: {cpu:?}");
        assert!(memory <= max_memory, "{operation}: {} MiB", memory >> 20);
        answer
    }
}

async fn check_all(backend: Backend) {
    let database = TestDatabase::create(backend).await;
    let bounded = Bounded::start(&database).await;
    bounded.fill().await;
    let description = bounded.server.get("/openapi.json").await.ok();
    let paths = description["paths"].as_object().expect("paths");
    let operations = paths
        .values()
        .flat_map(|item| item.as_object().expect("operations").values());
    let described: BTreeSet<&str> = operations
        .filter_map(|it| it["operationId"].as_str())
        .collect();
    let requests = [reads::reads(), writes::writes()].concat();
    let tested: BTreeSet<&str> = requests.iter().map(|(operation, ..)| *operation).collect();
    assert_eq!(tested, described, "the worst request of each operation");

    for (operation, method, path, body) in requests {
        // A stream of events has no end, so that its first part is read, as by `Answer`.
        let is_read = method == Method::GET && operation != "stream_events";
        bounded.check(operation, method, path, body.as_ref()).await;
        if is_read {
            bounded.check_compressed(operation, path).await;
        }
    }
    bounded.check_with_rows_to_read_ahead(&database).await;
    drop(bounded);
    database.remove().await;
}

#[tokio::test]
async fn no_request_takes_more_than_is_promised_on_sqlite() {
    check_all(Backend::Sqlite).await;
}

#[tokio::test]
async fn no_request_takes_more_than_is_promised_on_postgresql() {
    check_all(Backend::Postgres).await;
}
