//! The bounds that docs/operations.md promises: the worst request that the other bounds allow is sent to every
//! operation, and its CPU time, its memory and the size of its response are held within them.
//!
//! A debug build gets ten times the CPU time. The promise is tested on an optimized build:
//! `cargo build --release && TEST_PROGRAM=target/release/circle-registry tests/run promised_bounds -- --nocapture`

use std::{collections::BTreeSet, time::Duration};

use entity::agent;
use futures_util::future::join_all;
use reqwest::Method;
use sea_orm::{ConnectionTrait, IdenStatic, Iterable};
use serde_json::{Map, Value, json};

use test_support::{
    Answer, Backend, TestDatabase,
    binary::{self, Server},
    connect_to,
    faults::report,
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

/// The operations, in an order in which each finds what it needs, and the worst request for each.
/// As many agents and members as a request may describe, with texts that fill the body.
fn documents() -> Value {
    let name = |number: usize| format!("described {number}");
    let agents: Vec<Value> = (0..245)
        .map(|number| json!({"name": name(number), "system_prompt": "line\n".repeat(1350)}))
        .collect();
    let members: Vec<Value> = (0..245)
        .map(|number| json!({"agent": name(number)}))
        .collect();
    let document = json!({"kind": "CircleRegistry", "version": 1, "owner": "o", "agents": agents,
        "circles": [{"name": "described", "members": members}]});
    json!({"documents": [document]})
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn requests() -> Vec<(&'static str, Method, &'static str, Option<Value>)> {
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    const PATCH: Method = Method::PATCH;
    const DELETE: Method = Method::DELETE;
    vec![
        ("get_liveness", GET, "/livez", None),
        ("get_readiness", GET, "/readyz", None),
        ("get_pool", GET, "/v1/pool", None),
        ("get_cache", GET, "/v1/cache", None),
        ("get_metrics", GET, "/metrics", None),
        (
            "list_circles",
            GET,
            "/v1/circles?include=members&limit=200&count=true&sort=-name&q=%C3%A9",
            None,
        ),
        (
            "get_circle",
            GET,
            "/v1/circles/full?include_inactive=true",
            None,
        ),
        ("get_circle", GET, "/v1/circles/large", None),
        (
            "list_members",
            GET,
            "/v1/circles/large/members?limit=200&include_inactive=true&count=true",
            None,
        ),
        ("get_member", GET, "/v1/circles/large/members/1", None),
        (
            "list_agent_circles",
            GET,
            "/v1/agents/1/circles?limit=200&count=true",
            None,
        ),
        ("get_circle_handles", GET, "/v1/circles/full/handles", None),
        ("get_circle_handles", GET, "/v1/circles/large/handles", None),
        (
            "export_circle",
            GET,
            "/v1/circles/full/export?format=docker-agent",
            None,
        ),
        (
            "export_circle",
            GET,
            "/v1/circles/large/export?format=claude",
            None,
        ),
        (
            "export_circle",
            GET,
            "/v1/circles/large/export?format=document",
            None,
        ),
        ("lint_circle", GET, "/v1/circles/full/lint", None),
        ("get_agent_handle", GET, "/v1/agents/1/handle", None),
        (
            "list_agents",
            GET,
            "/v1/agents?limit=200&include=model&count=true&sort=-name&q=%C3%A9",
            None,
        ),
        ("get_agent", GET, "/v1/agents/1", None),
        (
            "get_agent_handle",
            GET,
            "/v1/agents/1/handle?version=1",
            None,
        ),
        (
            "list_agent_versions",
            GET,
            "/v1/agents/201/versions?limit=200&count=true",
            None,
        ),
        ("get_agent_version", GET, "/v1/agents/1/versions/1", None),
        (
            "diff_agent_version",
            GET,
            "/v1/agents/1/versions/1/diff",
            None,
        ),
        (
            "diff_agent_version",
            GET,
            "/v1/agents/201/versions/2/diff",
            None,
        ),
        (
            "list_model_agents",
            GET,
            "/v1/models/1/agents?limit=200&count=true",
            None,
        ),
        (
            "list_models",
            GET,
            "/v1/models?limit=200&include=provider&count=true",
            None,
        ),
        ("get_model", GET, "/v1/models/1", None),
        ("get_model_cost", POST, "/v1/models/1/cost", Some(json!({}))),
        (
            "list_model_retirements",
            GET,
            "/v1/models/retirements?limit=200&count=true&within=P99999D",
            None,
        ),
        (
            "repoint_model",
            POST,
            "/v1/models/1/repoint",
            Some(json!({"to": 3})),
        ),
        (
            "repoint_model",
            POST,
            "/v1/models/3/repoint",
            Some(json!({"to": 1})),
        ),
        (
            "list_provider_models",
            GET,
            "/v1/providers/1/models?limit=200&count=true",
            None,
        ),
        (
            "list_providers",
            GET,
            "/v1/providers?limit=200&count=true&sort=-name",
            None,
        ),
        ("get_provider", GET, "/v1/providers/1", None),
        (
            "list_conversations",
            GET,
            "/v1/conversations?limit=200&include=participants,last_message&count=true",
            None,
        ),
        ("get_conversation", GET, "/v1/conversations/1", None),
        (
            "list_participants",
            GET,
            "/v1/conversations/1/participants",
            None,
        ),
        (
            "list_messages",
            GET,
            "/v1/conversations/1/messages?limit=200&order=desc&count=true",
            None,
        ),
        ("get_message", GET, "/v1/conversations/1/messages/1", None),
        (
            "get_transcript",
            GET,
            "/v1/conversations/1/transcript?format=markdown",
            None,
        ),
        ("list_changes", GET, "/v1/changes?limit=200", None),
        (
            "list_changes",
            GET,
            "/v1/changes?limit=200&resource=message&circle_id=1",
            None,
        ),
        (
            "stream_events",
            GET,
            "/v1/events?resource=message&circle_id=1",
            None,
        ),
        (
            "list_audit_entries",
            GET,
            "/v1/audit?limit=200&count=true",
            None,
        ),
        ("list_keys", GET, "/v1/keys?limit=200&count=true", None),
        ("get_key", GET, "/v1/keys/1", None),
        ("get_own_key", GET, "/v1/keys/self", None),
        ("create_webhook", POST, "/v1/webhooks", Some(webhook())),
        (
            "list_webhooks",
            GET,
            "/v1/webhooks?limit=200&count=true",
            None,
        ),
        ("get_webhook", GET, "/v1/webhooks/1", None),
        (
            "update_webhook",
            PATCH,
            "/v1/webhooks/1",
            Some(json!({"description": wide_text(4900)})),
        ),
        ("rotate_webhook_secret", POST, "/v1/webhooks/1/secret", None),
        ("resume_webhook", POST, "/v1/webhooks/1/resume", None),
        ("test_webhook", POST, "/v1/webhooks/1/test", None),
        (
            "list_webhook_attempts",
            GET,
            "/v1/webhooks/1/attempts?limit=200&count=true",
            None,
        ),
        (
            "list_handle_circles",
            GET,
            "/v1/handles/circles?limit=200&count=true",
            None,
        ),
        (
            "create_key",
            POST,
            "/v1/keys",
            Some(json!({"name": wide_text(200), "scopes": ["handles"]})),
        ),
        (
            "create_provider",
            POST,
            "/v1/providers",
            Some(provider("last")),
        ),
        (
            "update_provider",
            PATCH,
            "/v1/providers/1",
            Some(json!({"config": wide_json()})),
        ),
        ("create_model", POST, "/v1/models", Some(model("last"))),
        (
            "update_model",
            PATCH,
            "/v1/models/1",
            Some(json!({"model_alias": wide_text(255)})),
        ),
        (
            "list_mcp_servers",
            GET,
            "/v1/mcp-servers?limit=200&count=true&sort=-name",
            None,
        ),
        (
            "create_release",
            POST,
            "/v1/circles/full/releases",
            Some(json!({})),
        ),
        (
            "create_release",
            POST,
            "/v1/circles/released/releases",
            Some(json!({"message": wide_text(2000), "labels": labels()})),
        ),
        ("get_release", GET, "/v1/circles/released/releases/1", None),
        (
            "get_release_handles",
            GET,
            "/v1/circles/released/releases/1/handles",
            None,
        ),
        (
            "get_circle_handles",
            GET,
            "/v1/circles/released/handles?label=label-1",
            None,
        ),
        (
            "diff_release",
            GET,
            "/v1/circles/released/releases/1/diff",
            None,
        ),
        (
            "diff_release",
            GET,
            "/v1/circles/released/releases/1/diff?against=live",
            None,
        ),
        (
            "list_releases",
            GET,
            "/v1/circles/released/releases?limit=200&count=true",
            None,
        ),
        (
            "replace_label",
            Method::PUT,
            "/v1/circles/released/labels/label-99",
            Some(json!({"release": 1})),
        ),
        (
            "get_label",
            GET,
            "/v1/circles/released/labels/label-99",
            None,
        ),
        (
            "list_labels",
            GET,
            "/v1/circles/released/labels?limit=200&count=true",
            None,
        ),
        (
            "delete_label",
            DELETE,
            "/v1/circles/released/labels/label-99",
            None,
        ),
        (
            "list_label_moves",
            GET,
            "/v1/circles/released/labels/label-99/history?limit=200&count=true",
            None,
        ),
        (
            "create_release",
            POST,
            "/v1/circles/none/releases",
            Some(json!({})),
        ),
        (
            "delete_release",
            DELETE,
            "/v1/circles/none/releases/1",
            None,
        ),
        ("get_mcp_server", GET, "/v1/mcp-servers/1", None),
        (
            "list_mcp_server_agents",
            GET,
            "/v1/mcp-servers/1/agents?limit=200&count=true",
            None,
        ),
        (
            "create_mcp_server",
            POST,
            "/v1/mcp-servers",
            Some(mcp_server("last")),
        ),
        (
            "update_mcp_server",
            PATCH,
            "/v1/mcp-servers/1",
            Some(json!({"name": "renamed"})),
        ),
        (
            "update_mcp_server",
            PATCH,
            "/v1/mcp-servers/1",
            Some(json!({"name": "server-0"})),
        ),
        ("create_agent", POST, "/v1/agents", Some(agent())),
        ("update_agent", PATCH, "/v1/agents/1", Some(agent())),
        (
            "restore_agent_version",
            POST,
            "/v1/agents/201/versions/1/restore",
            None,
        ),
        (
            "replace_agent",
            Method::PUT,
            "/v1/agents/by-external-id/last",
            Some(agent()),
        ),
        (
            "plan_documents",
            POST,
            "/v1/documents/plan",
            Some(documents()),
        ),
        (
            "apply_documents",
            POST,
            "/v1/documents/apply",
            Some(documents()),
        ),
        (
            "export_document",
            GET,
            "/v1/documents/export?circles=described",
            None,
        ),
        ("create_circle", POST, "/v1/circles", Some(circle("last"))),
        (
            "update_circle",
            PATCH,
            "/v1/circles/full",
            Some(json!({"settings": wide_json()})),
        ),
        ("start_circle", POST, "/v1/circles/full/start", None),
        ("stop_circle", POST, "/v1/circles/full/stop", None),
        (
            "add_member",
            POST,
            "/v1/circles/last/members",
            Some(json!({"agent_id": 1, "permissions": wide_json()})),
        ),
        (
            "update_member",
            PATCH,
            "/v1/circles/full/members/1",
            Some(json!({"permissions": wide_json()})),
        ),
        (
            "batch_members",
            POST,
            "/v1/circles/last/members:batch?partial=true",
            Some(batch()),
        ),
        (
            "batch_members",
            POST,
            "/v1/circles/large/members:batch?partial=true",
            Some(batch_of_updates()),
        ),
        (
            "replace_members",
            Method::PUT,
            "/v1/circles/last/members",
            Some(json!({"members": members()})),
        ),
        (
            "create_conversation",
            POST,
            "/v1/conversations",
            Some(conversation()),
        ),
        (
            "update_conversation",
            PATCH,
            "/v1/conversations/1",
            Some(json!({"summary": long_prompt()})),
        ),
        (
            "create_message",
            POST,
            "/v1/conversations/1/messages",
            Some(message()),
        ),
        (
            "remove_participant",
            DELETE,
            "/v1/conversations/1/participants/1",
            None,
        ),
        (
            "add_participant",
            POST,
            "/v1/conversations/1/participants",
            Some(json!({"agent_id": 1})),
        ),
        ("delete_conversation", DELETE, "/v1/conversations/1", None),
        ("remove_member", DELETE, "/v1/circles/full/members/1", None),
        ("delete_circle", DELETE, "/v1/circles/large", None),
        ("restore_circle", POST, "/v1/circles/large/restore", None),
        (
            "replace_members",
            Method::PUT,
            "/v1/circles/large/members",
            Some(json!({"members": []})),
        ),
        ("delete_agent", DELETE, "/v1/agents/1", None),
        ("restore_agent", POST, "/v1/agents/1/restore", None),
        ("delete_mcp_server", DELETE, "/v1/mcp-servers/3", None),
        ("delete_model", DELETE, "/v1/models/10", None),
        (
            "delete_provider",
            DELETE,
            "/v1/providers/2?cascade=true",
            None,
        ),
        ("delete_webhook", DELETE, "/v1/webhooks/2", None),
        ("revoke_key", DELETE, "/v1/keys/2", None),
    ]
}

/// The number of agents with the largest prompts, and of all agents.
const LARGE_AGENTS: i64 = 14;
const AGENTS: i64 = 200;
/// The number of agents in a release.
const PUBLISHED: usize = 3;
/// More rows than SQLite's driver reads ahead.
const READ_AHEAD: usize = 70;

/// The longest prompt, in a script that makes it as large as a body may be.
fn long_prompt() -> String {
    "团".repeat(500_000)
}

fn wide_text(characters: usize) -> String {
    "é".repeat(characters)
}

/// As many values as a body may have, and as deep as they may be.
fn wide_json() -> Value {
    let deep = (0..100).fold(json!(1), |value, _| json!([value]));
    json!({"wide": vec![json!({"a": 1}); 24_000], "deep": deep, "text": wide_text(800_000)})
}

fn words() -> Vec<String> {
    (0..100)
        .map(|word| format!("{word:03}{}", wide_text(197)))
        .collect()
}

fn provider(name: &str) -> Value {
    json!({
        "name": name, "api_type": "openai", "display_name": wide_text(200), "config": wide_json(),
        "base_url": format!("https://{}.example", "x".repeat(2000))
    })
}

fn model(name: &str) -> Value {
    let alias = wide_text(255);
    json!({"provider_id": 1, "model_name": format!("{name}{}", wide_text(240)), "model_alias": alias})
}

fn mcp_server(name: &str) -> Value {
    let env: Vec<String> = (0..100)
        .map(|number| format!("{}{number}", "N".repeat(250)))
        .collect();
    let env: Map<String, Value> = env
        .into_iter()
        .map(|name| (name, "X".repeat(200).into()))
        .collect();
    json!({
        "name": name, "transport": "stdio", "command": wide_text(1000), "args": words(), "env": env,
        "description": wide_text(5000), "display_name": wide_text(200)
    })
}

/// About 1.9 MB.
fn agent() -> Value {
    let prompt = wide_text(400_000);
    let wide = json!({"wide": vec![json!({"a": 1}); 7_000]});
    let function = json!({"type": "function", "name": "f", "parameters": wide});
    let servers = (0..2).map(|number| json!({"type": "mcp", "server": format!("server-{number}")}));
    let tools: Vec<Value> = servers.chain([function]).collect();
    let fallbacks: Vec<i64> = (2..10).collect();
    json!({
        "name": wide_text(200), "role": wide_text(200), "model_id": 1, "system_prompt": prompt,
        "base_prompt": prompt, "skill_names": words(), "competencies": words(), "can_review": words(),
        "metadata": wide, "params": {"extra": wide}, "tools": tools, "fallback_model_ids": fallbacks
    })
}

/// The longest prompts, of very many lines that no other such agent has.
fn agent_with_lines(seed: u32) -> Value {
    let lines: Vec<String> = (0..70_000)
        .map(|line| (2 * line + seed).to_string())
        .collect();
    let lines = lines.join("\n");
    json!({"name": "lines", "system_prompt": lines, "base_prompt": lines, "metadata": {"lines": lines}})
}

/// A webhook that is not delivered: nothing listens at its address.
fn webhook() -> Value {
    let words = vec![wide_text(200); 100];
    json!({
        "name": wide_text(200), "description": wide_text(5000), "url": "https://8.8.8.8:9/x",
        "resources": words, "actions": words, "is_enabled": false
    })
}

fn circle(name: &str) -> Value {
    json!({
        "name": name, "display_name": wide_text(200), "description": wide_text(10_000),
        "project_context": wide_text(400_000),
        "settings": {"instructions": wide_text(400_000), "wide": vec![json!({"a": 1}); 20_000]}
    })
}

fn members() -> Vec<Value> {
    let permissions = json!({"may": vec![json!({"a": 1}); 40]});
    (1..=AGENTS)
        .map(|id| json!({"agent_id": id, "permissions": permissions, "competencies": ["é"]}))
        .collect()
}

/// As many labels as a release can be published with.
fn labels() -> Vec<String> {
    (0..100).map(|label| format!("label-{label}")).collect()
}

fn batch() -> Value {
    let add = |mut member: Value| {
        member["op"] = "add".into();
        member
    };
    json!({"operations": members().into_iter().map(add).collect::<Vec<_>>()})
}

fn batch_of_updates() -> Value {
    let update = |id| json!({"op": "update", "agent_id": id, "role": "lead"});
    json!({"operations": (1..=LARGE_AGENTS).map(update).collect::<Vec<_>>()})
}

fn conversation() -> Value {
    let participants: Vec<i64> = (1..=AGENTS).collect();
    json!({"topic": wide_text(500), "initial_prompt": long_prompt(), "participants": participants})
}

fn message() -> Value {
    let call = json!({"wide": vec![json!({"a": 1}); 200]});
    json!({"content": long_prompt(), "tool_calls": vec![call; 100]})
}

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
    let requests = requests();
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
