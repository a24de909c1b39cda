//! Prometheus, which collects the metrics of services, from the installed program. It is killed when it is dropped.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::postgres_server::free_port;

const HELP: &str = "the tests need Prometheus 2.40 or later: install it (on Debian and Ubuntu: apt-get install prometheus)";
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A Prometheus that asks a service for its metrics each second.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    port: u16,
    client: reqwest::Client,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts it with this file of rules.
    pub async fn start(service: SocketAddr, rules: &Path) -> Self {
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("prometheus.yml");
        let rules = rules.canonicalize().expect("the rules");
        let configuration = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ['{}']
scrape_configs:
  - job_name: circle-registry
    static_configs: [{{targets: ['{service}']}}]
",
            rules.display()
        );
        fs::write(&file, configuration).expect("the configuration");
        let port = free_port();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect(HELP);
        let prometheus = Self {
            child,
            port,
            client: reqwest::Client::new(),
            _folder: folder,
        };
        let deadline = Instant::now() + START_TIMEOUT;
        while prometheus.get("/-/ready", &[]).await.is_none() {
            assert!(Instant::now() < deadline, "Prometheus is not ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        prometheus
    }

    /// The series that an expression finds now.
    pub async fn query(&self, expression: &str) -> Vec<Value> {
        let answer = self.get("/api/v1/query", &[("query", expression)]).await;
        let answer: Value =
            serde_json::from_str(&answer.expect("a sound expression")).expect("JSON");
        answer["data"]["result"]
            .as_array()
            .expect("a vector")
            .clone()
    }

    /// The rules of all groups.
    pub async fn rules(&self) -> Vec<Value> {
        let answer = self.get("/api/v1/rules", &[]).await.expect("rules");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        let groups = answer["data"]["groups"].as_array().expect("groups");
        let rules = groups
            .iter()
            .flat_map(|group| group["rules"].as_array().expect("rules"));
        rules.cloned().collect()
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<String> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let url = reqwest::Url::parse_with_params(&url, query).expect("an address");
        let response = self.client.get(url).send().await.ok()?;
        response.error_for_status().ok()?.text().await.ok()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
