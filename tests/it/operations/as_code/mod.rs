//! Circles as code: documents in files.

mod applying;
mod exporting;
mod owners;
mod round_trips;
mod service;

use std::{fs, path::PathBuf, process::Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use test_support::{Backend, TestApp, TestDatabase, binary, texts_of};

/// One of each resource with nearly all that it can have, and a second circle with none of it.
async fn a_registry(app: &TestApp) {
    for name in ["zeta", "acme"] {
        let provider = json!({"name": name, "api_type": "openai", "is_local": true, "base_url": "http://h/v1",
            "config": {"b": 1.50, "a": [null, "x"]}});
        app.post("/v1/providers", &provider).await.created();
    }
    let model = json!({"provider_id": 2, "model_name": "vendor/large", "input_price": "2.5", "accepts_sampling": false,
        "price_tiers": [{"above_tokens": 200_000, "input": "5"}], "prices": {"batch.input": "1.25"},
        "default_params": {"top_p": 0.5}, "release_date": "2026-01-31", "pinned_fields": ["input_price"]});
    app.post("/v1/models", &model).await.created();
    let model = json!({"provider_id": 1, "model_name": "small"});
    app.post("/v1/models", &model).await.created();
    for name in ["github", "files"] {
        let server = json!({"name": name, "transport": "stdio", "command": "run", "env": {"TOKEN": "TOKEN"}});
        app.post("/v1/mcp-servers", &server).await.created();
    }
    let agent = json!({"name": "Ada", "system_prompt": "You lead.\n\n  Be kind: always.\n", "model_id": 1,
        "fallback_model_ids": [2], "temperature": 0.25, "skill_names": ["rust", "no"], "status": "busy",
        "params": {"stop": ["\n"], "extra": {"n": 1e2}},
        "tools": [{"type": "mcp", "server": "github", "allow": ["search"]},
                  {"type": "function", "name": "f", "parameters": {"type": "object"}}],
        "metadata": {"since": "2026-01-31", "line": "a\r\nb"}});
    app.post("/v1/agents", &agent).await.created();
    let agent = json!({"name": "Ada", "external_id": "crm-7"});
    app.post("/v1/agents", &agent).await.created();
    app.an_agent("Unused").await;
    let circle = json!({"name": "review", "require_review": false, "max_members": 5, "protected_labels": ["production"],
        "settings": {"instructions": "Line one.\nLine two."}});
    app.post("/v1/circles", &circle).await.created();
    for (agent_id, role) in [(2, "reviewer"), (1, "lead")] {
        let member = json!({"agent_id": agent_id, "role": role, "permissions": {"merge": true}});
        app.post("/v1/circles/review/members", &member)
            .await
            .created();
    }
    app.post("/v1/circles/review/start", &Value::Null)
        .await
        .ok();
    app.a_circle("empty").await;
}

/// What a command prints that succeeds on this database.
#[track_caller]
fn output_of(url: &str, command: &[&str]) -> String {
    binary::output_of(&[command, &["--database-url", url]].concat())
}

/// Files of documents.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.0.path().join(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    }

    /// What a text says, without the path of the folder.
    fn named_in(&self, output: &[u8]) -> String {
        let text = String::from_utf8_lossy(output);
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn run(url: &str, command: &[&str]) -> Output {
    binary::run(&[command, &["--database-url", url]].concat())
}

/// All rows of all tables.
async fn rows_of_all_tables(database: &TestDatabase) -> Vec<String> {
    let url = &database.url;
    let tables = match database.backend {
        Backend::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
        Backend::Postgres => {
            "SELECT table_name::text FROM information_schema.tables \
             WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY 1"
        }
    };
    let mut rows = Vec::new();
    for table in texts_of(url, tables).await {
        let select = match database.backend {
            Backend::Sqlite => {
                let columns = format!(
                    "SELECT group_concat('quote(' || name || ')', '||'',''||') FROM pragma_table_info('{table}')"
                );
                let columns = texts_of(url, &columns).await.concat();
                format!("SELECT {columns} FROM {table} ORDER BY 1")
            }
            Backend::Postgres => {
                format!("SELECT t::text FROM {table} t ORDER BY 1")
            }
        };
        rows.push(format!("{table}: {:?}", texts_of(url, &select).await));
    }
    assert!(rows.len() > 15, "{rows:?}");
    rows
}
