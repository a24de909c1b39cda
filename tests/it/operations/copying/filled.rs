//! A database with rows in every table, made by the API.

use serde_json::{Value, json};

use test_support::{Answer, TestApp, TestDatabase, connect_to, factories::id, keys::TestKey};

use sea_orm::ConnectionTrait;

/// A text with everything that a format could take for its own.
const TEXT: &str =
    "tab\tnew line\nreturn\rback\\slash \\N \\. 'quotes' \"double\" {\"a\": 1} é 😀 \u{1}";

/// The same without control characters, which names and titles may not have.
const LINE: &str = "back\\slash \\N \\. 'quotes' \"double\" {\"a\": 1} é 😀";

/// What is read before and after a copy.
const READ: [&str; 24] = [
    "/v1/providers/1",
    "/v1/models/1",
    "/v1/models",
    "/v1/agents/1",
    "/v1/agents/1/versions",
    "/v1/agents/1/versions/1",
    "/v1/agents?limit=100",
    "/v1/mcp-servers/1",
    "/v1/circles",
    "/v1/circles/team",
    "/v1/circles/team/members",
    "/v1/circles/team/members/1",
    BY_ITS_BYTES,
    "/v1/circles/team/releases",
    "/v1/circles/team/releases/1",
    "/v1/circles/team/labels",
    "/v1/conversations",
    "/v1/conversations/1",
    "/v1/conversations/1/participants",
    "/v1/conversations/1/messages",
    "/v1/audit?limit=200",
    "/v1/keys",
    "/v1/webhooks/1",
    "/v1/webhooks/1/attempts",
];

/// The path of which the tag is made from the bytes: between databases of two kinds, white space in lists differs.
pub(super) const BY_ITS_BYTES: &str = "/v1/circles/team/handles";

/// A service on a database with rows in every table, and the key that everything takes now.
pub(super) async fn filled(database: &TestDatabase) -> (TestApp, TestKey) {
    let app = TestApp::start(database.backend, database.settings()).await;
    catalogue(&app).await;
    agents(&app).await;
    circles(&app).await;
    conversations(&app).await;
    let document = json!({"documents": [{"kind": "CircleRegistry", "version": 1, "owner": "platform",
        "agents": [{"name": "Doc", "system_prompt": TEXT}], "circles": [{"name": "docs"}]}]});
    app.post("/v1/documents/apply", &document).await.ok();
    // With an attempt that fails: there is no such host.
    let webhook =
        json!({"name": "hook", "url": "https://hooks.acme.example/changes", "is_enabled": false});
    app.post("/v1/webhooks", &webhook).await.created();
    app.post("/v1/webhooks/1/test", &Value::Null).await.ok();
    let request = app.request(reqwest::Method::POST, "/v1/agents");
    let request = request
        .json(&json!({"name": "once"}))
        .header("idempotency-key", "the-key");
    Answer::to(request).await.created();
    // A deletion that another instance has begun.
    let gone = app.an_agent("Gone").await;
    app.delete(&format!("/v1/agents/{gone}")).await.no_content();
    let db = connect_to(&database.url).await;
    let job = format!(
        "INSERT INTO membership_jobs (agent_id, restores, ended_at, after_member_id) \
         VALUES ({gone}, false, '2026-01-02T03:04:05.678901+00:00', 7)"
    );
    db.execute_unprepared(&job).await.expect("a job");
    db.close().await.expect("closed");
    // An id that was given, and that no row has any more.
    let last = app.a_provider("last").await;
    app.delete(&format!("/v1/providers/{last}"))
        .await
        .no_content();
    let key = app.first_key().await;
    (app, key)
}

async fn catalogue(app: &TestApp) {
    let provider = json!({"name": "p", "api_type": "openai", "display_name": LINE,
        "config": {"z": 1.50, "a": [12_345_678_901_234_567_890_u64, 1e-7], "text": TEXT}});
    app.post("/v1/providers", &provider).await.created();
    let model = json!({"provider_id": 1, "model_name": "m", "input_price": "12345678.1234567891",
        "output_price": "0.0000000001", "default_temperature": 0.7, "default_params": {"top_p": 0.1, "top_k": 3},
        "price_tiers": [{"above_tokens": 200_000, "input": "6", "output": "22.5"}],
        "prices": {"batch.input": "1.5", "search": "0.01"}, "release_date": "2025-09-29",
        "reasoning_efforts": ["low", "high"]});
    app.post("/v1/models", &model).await.created();
    app.a_model(1, "other").await;
    let server = json!({"name": "s", "transport": "stdio", "command": "mcp", "args": ["-x", LINE]});
    app.post("/v1/mcp-servers", &server).await.created();
}

async fn agents(app: &TestApp) {
    let agent = json!({"name": "Ada", "model_id": 1, "fallback_model_ids": [2], "system_prompt": TEXT,
        "temperature": 0.1 + 0.2, "skill_names": ["b", "a b", "c,d"], "languages": ["é"],
        "metadata": {"b": 1.0, "a": null}, "tools": [{"type": "mcp", "server": "s"}]});
    app.post("/v1/agents", &agent).await.created();
    app.patch("/v1/agents/1", &json!({"description": TEXT}))
        .await
        .ok();
    app.an_agent("Bob").await;
}

async fn circles(app: &TestApp) {
    app.a_circle("team").await;
    app.a_circle("empty").await;
    let member = json!({"agent_id": 1, "role": "lead", "competencies": ["x"], "permissions": {"b": 1.10, "a": 2}});
    app.post("/v1/circles/team/members", &member)
        .await
        .created();
    app.a_member("team", 2).await;
    app.delete("/v1/circles/team/members/2").await.no_content();
    app.post("/v1/circles/team/start", &json!({})).await.ok();
    let release = json!({"message": LINE, "labels": ["production"]});
    app.post("/v1/circles/team/releases", &release)
        .await
        .created();
}

async fn conversations(app: &TestApp) {
    let new = json!({"topic": LINE, "circle": "team", "initial_prompt": TEXT});
    let created = app.post("/v1/conversations", &new).await.created();
    assert_eq!(id(&created), 1);
    let path = "/v1/conversations/1/participants";
    app.post(path, &json!({"agent_id": 1})).await;
    for number in 0..3 {
        let message = json!({"content": format!("{number} {TEXT}"), "agent_id": 1, "mentions": [1],
            "tool_calls": [{"id": "c", "n": 1.50}]});
        app.post("/v1/conversations/1/messages", &message)
            .await
            .created();
    }
}

/// What the API says of everything: the path, the tag and the body. PostgreSQL has an order of its own for the members of
/// some JSON, which a body does not depend on.
pub(super) async fn all_that_is_read(
    app: &TestApp,
    key: &TestKey,
) -> Vec<(&'static str, String, Value)> {
    let mut read = Vec::new();
    for path in READ {
        let answer = app.get_with(path, &key.token).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let tag = answer.headers.get("etag");
        let tag = tag.map_or("", |tag| tag.to_str().expect("text"));
        read.push((path, tag.to_owned(), body_of(path, &answer)));
    }
    read
}

/// The body, without when keys were used last: each request changes that.
fn body_of(path: &str, answer: &Answer) -> Value {
    let mut body: Value = serde_json::from_str(&answer.text).expect("JSON");
    if path == "/v1/keys" {
        for key in body["data"].as_array_mut().expect("a page") {
            key["last_used_at"].take();
        }
    }
    body
}
