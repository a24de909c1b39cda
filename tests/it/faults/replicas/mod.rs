//! Reads go to replicas. Clients see what they have written, and the loss of a replica costs nobody an error.

mod failover;
mod load;
mod loss;
mod reads;
mod settings;

use std::time::{Duration, Instant};

use circle_registry::config::Settings;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use test_support::{
    Answer, Backend, TestApp,
    postgres_server::{Durability, PostgresServer},
    settings_for, texts_of,
};

const POSITION: &str = "database-position";

/// A primary with hot standbys, all of them running.
struct Cluster {
    primary: PostgresServer,
    standbys: Vec<PostgresServer>,
}

impl Cluster {
    async fn start(standbys: usize) -> Self {
        // Otherwise a standby would get what is committed up to a fifth of a second later.
        let mut primary = PostgresServer::create(Durability::On);
        primary.start_ready().await;
        let mut standbys: Vec<_> = (0..standbys).map(|_| primary.create_standby()).collect();
        for standby in &mut standbys {
            standby.start_ready().await;
        }
        Self { primary, standbys }
    }

    /// A service that reads from these URLs.
    async fn app_reading(
        &self,
        replicas: &[String],
        change: impl FnOnce(&mut Settings),
    ) -> TestApp {
        let mut settings = settings_for(&url_of(&self.primary));
        settings.replicas.read_database_url = replicas.to_vec();
        change(&mut settings);
        let app = TestApp::start(Backend::Postgres, settings).await;
        wait_until_fit(&app, replicas.len()).await;
        app
    }

    /// A service that reads from all standbys.
    async fn app(&self) -> TestApp {
        let replicas: Vec<String> = self.standbys.iter().map(url_of).collect();
        self.app_reading(&replicas, |_| {}).await
    }
}

fn url_of(server: &PostgresServer) -> String {
    server.url_of("postgres")
}

/// The sum of all series of a metric whose labels contain a text.
async fn metric(app: &TestApp, name: &str, label: &str) -> f64 {
    let text = app.get("/metrics").await.text;
    let lines = text
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(label));
    let values = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    values.sum()
}

/// How many reads had this outcome.
async fn reads(app: &TestApp, outcome: &str) -> f64 {
    let label = format!("outcome=\"{outcome}\"");
    metric(app, "circle_registry_replica_reads_total", &label).await
}

async fn wait_until_fit(app: &TestApp, count: usize) {
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut fit = f64::NAN;
    while fit.to_string() != count.to_string() {
        assert!(
            Instant::now() < deadline,
            "{fit} replicas are fit, not {count}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
        fit = metric(app, "circle_registry_replica_fit", "").await;
    }
}

async fn pause_replay(standby: &PostgresServer) {
    let pause = "SELECT pg_wal_replay_pause()::text";
    texts_of(&url_of(standby), pause).await;
    let state = "SELECT pg_get_wal_replay_pause_state()";
    while texts_of(&url_of(standby), state).await != ["paused"] {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn resume_replay(standby: &PostgresServer) {
    let resume = "SELECT pg_wal_replay_resume()::text";
    texts_of(&url_of(standby), resume).await;
}

fn get(app: &TestApp, path: &str) -> RequestBuilder {
    app.request(Method::GET, path)
}

/// Gives an agent another role, and returns the position of the write.
async fn set_role(app: &TestApp, agent: i64, role: &str) -> String {
    let path = format!("/v1/agents/{agent}");
    let answer = app.patch(&path, &json!({"role": role})).await;
    let position = answer.header(POSITION).to_owned();
    assert_eq!(answer.ok()["role"], role);
    assert!(position.contains("-0/"), "{position:?}");
    position
}

/// The answer of a replica to a GET. On a busy machine it may be silent for a moment, in which the primary answers.
async fn from_replica(app: &TestApp, path: &str, header: (&str, &str)) -> Answer {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let before = reads(app, "replica").await;
        let answer = Answer::to(get(app, path).header(header.0, header.1)).await;
        if reads(app, "replica").await > before {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "{path} is not read from a replica"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A header field that asks for nothing.
const PLAIN: (&str, &str) = ("accept", "*/*");

/// The role of an agent as a request gets it.
async fn role(request: RequestBuilder) -> Value {
    Answer::to(request).await.ok()["role"].clone()
}
