//! Documents over HTTP: plans, and what applying them does and may do.

use reqwest::Method;
use serde_json::{Value, json};

use test_support::{TestApp, on_both};

const PLAN: &str = "/v1/documents/plan";
const APPLY: &str = "/v1/documents/apply";

fn set(document: Value) -> Value {
    let Value::Object(mut document) = document else {
        panic!("an object");
    };
    document.insert("kind".to_owned(), "CircleRegistry".into());
    document.insert("version".to_owned(), 1.into());
    json!({"documents": [document]})
}

/// A team of so many agents, each on a model and with a tool, in circles of ten.
fn team(agents: usize, role: &str) -> Value {
    let names: Vec<String> = (0..agents).map(|number| format!("a{number}")).collect();
    let entries: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({"name": name, "role": role, "model": "p/m", "fallback_models": ["p/n"],
            "tools": [{"type": "mcp", "server": "s"}], "system_prompt": "One.\nTwo.\n"})
        })
        .collect();
    let circles: Vec<Value> = names
        .chunks(10)
        .enumerate()
        .map(|(number, names)| {
            let members: Vec<Value> = names
                .iter()
                .map(|name| json!({"agent": name, "competencies": [role]}))
                .collect();
            json!({"name": format!("c{number}"), "members": members})
        })
        .collect();
    set(
        json!({"owner": "o", "providers": [{"name": "p", "api_type": "openai"}],
        "models": [{"provider": "p", "model_name": "m"}, {"provider": "p", "model_name": "n"}],
        "mcp_servers": [{"name": "s", "transport": "stdio", "command": "x"}], "agents": entries, "circles": circles}),
    )
}

#[tokio::test]
async fn a_plan_is_applied_by_its_digest_and_once() {
    on_both(async |app| {
        let documents = team(3, "r");
        let plan = app.post(PLAN, &documents).await.ok();
        let digest = plan["digest"].as_str().expect("a digest").to_owned();
        assert_eq!(plan["changes"].as_array().map(Vec::len), Some(8));
        assert_eq!(app.total("/v1/agents").await, 0);
        let other = "0".repeat(64);
        app.post(&format!("{APPLY}?digest={other}"), &documents)
            .await
            .problem(409, "plan_changed");
        let apply = || {
            let path = format!("{APPLY}?digest={digest}&message=why");
            app.request(Method::POST, &path)
                .header("idempotency-key", "k")
                .json(&documents)
        };
        let first = test_support::Answer::to(apply()).await;
        let request = first.header("x-request-id").to_owned();
        assert_eq!(first.ok(), plan);
        assert_eq!(
            test_support::Answer::to(apply()).await.ok(),
            plan,
            "replayed"
        );
        assert_eq!(app.total("/v1/agents").await, 3);
        let entries = app.get("/v1/audit?limit=200").await.ok();
        let entries = entries["data"].as_array().expect("entries").iter();
        assert_eq!(
            entries
                .filter(|entry| entry["request_id"] == *request)
                .count(),
            11
        );
        let versions = app.get("/v1/agents/1/versions").await.ok();
        assert_eq!(versions["data"][0]["message"], "why");
        let left = app.post(PLAN, &documents).await.ok();
        assert_eq!(
            (&left["has_changes"], &left["unchanged"]),
            (&json!(false), &json!(8))
        );
    })
    .await;
}

#[tokio::test]
async fn parts_of_documents_need_the_scopes_of_their_operations() {
    on_both(async |app| {
        let admin = app.first_key().await;
        let (writer, reader) = (app.key_by(&admin, &["write"]).await, app.key_by(&admin, &["read"]).await);
        let agents = set(json!({"agents": [{"name": "A"}], "circles": [{"name": "c", "members": [{"agent": "A"}]}]}));
        app.ask(Method::POST, PLAN, Some(&agents), &reader.token).await.ok();
        app.ask(Method::POST, APPLY, Some(&agents), &reader.token).await.problem(403, "forbidden");
        for (document, least) in [
            (json!({"providers": [{"name": "p", "api_type": "openai"}]}), "admin"),
            (json!({"mcp_servers": [{"name": "s", "transport": "stdio", "command": "x"}]}), "admin"),
            (json!({"circles": [{"name": "d", "protected_labels": ["production"]}]}), "publish"),
        ] {
            let document = set(document);
            let refused = app.ask(Method::POST, APPLY, Some(&document), &writer.token).await;
            refused.problem(403, "forbidden");
            let able = app.key_by(&admin, &[least]).await;
            app.ask(Method::POST, APPLY, Some(&document), &able.token).await.ok();
        }
        app.ask(Method::POST, APPLY, Some(&agents), &writer.token).await.ok();
        let entries = app.get_with("/v1/audit?limit=200", &admin.token).await.ok();
        let by = |key: i64| entries["data"].as_array().expect("entries").iter().filter(|it| it["key_id"] == key).count();
        assert_eq!(by(writer.id), 3, "{entries}");
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_has_its_place() {
    on_both(async |app| {
        let wrong = set(json!({"agents": [{"name": "A", "model": "p/m", "temperature": 3}], "nothing": 1}));
        app.post(PLAN, &wrong).await.invalid(&["#/documents/0/agents/0/temperature", "#/documents/0/nothing"]);
        let wrong = set(json!({"agents": [{"name": "A", "model": "p/m"}, {"name": "A"}]}));
        for path in [PLAN, APPLY] {
            app.post(path, &wrong).await.invalid(&["#/documents/0/agents/0/model"]);
        }
        let twice = set(json!({"agents": [{"name": "A"}, {"name": "A"}]}));
        app.post(APPLY, &twice).await.invalid(&["#/documents/0/agents/1"]);
        app.an_agent("B").await;
        app.an_agent("B").await;
        let which = set(json!({"agents": [{"name": "B"}], "circles": [{"name": "c", "members": [{"agent": "B"}]}]}));
        app.post(PLAN, &which).await.invalid(&["#/documents/0/agents/0", "#/documents/0/circles/0/members/0/agent"]);
        let large = team(300, "r");
        for path in [PLAN, APPLY] {
            app.post(path, &large).await.invalid(&["#/documents"]);
        }
        assert_eq!(app.total("/v1/agents").await, 2);
    })
    .await;
}

#[tokio::test]
async fn what_others_change_at_the_same_time_stays() {
    on_both(async |app| {
        app.post(APPLY, &team(10, "r")).await.ok();
        app.a_circle("other").await;
        for round in 0..20 {
            let status = ["idle", "busy", "offline"][round % 3];
            let role = format!("r{round}");
            let documents = team(10, &role);
            let (change, member) = (json!({"status": status}), json!({"agent_id": 1}));
            let (applied, changed, added) = futures_util::join!(
                app.post(APPLY, &documents),
                app.patch("/v1/agents/1", &change),
                app.post("/v1/circles/other/members", &member),
            );
            assert_eq!(
                (applied.status, changed.status, added.status),
                (200, 200, 201),
                "{}",
                applied.text
            );
            app.delete("/v1/circles/other/members/1").await.no_content();
            let agent = app.get("/v1/agents/1").await.ok();
            assert_eq!(
                (&agent["role"], &agent["status"]),
                (&json!(role), &json!(status))
            );
        }
    })
    .await;
}

async fn statements(app: &TestApp, path: &str, documents: &Value) -> u64 {
    let (answer, statements) = app.statements(app.post(path, documents)).await;
    assert_eq!(answer.ok()["has_changes"], true);
    statements
}

#[tokio::test]
async fn the_statements_do_not_grow_with_the_documents() {
    on_both(async |app| {
        let mut counts = Vec::new();
        for (agents, role) in [(10, "one"), (10, "two"), (150, "three"), (150, "four")] {
            let documents = team(agents, role);
            let planned = statements(app, PLAN, &documents).await;
            counts.push((planned, statements(app, APPLY, &documents).await));
        }
        assert!(counts[0].0 <= 12 && counts[0].1 <= 60, "{counts:?}");
        assert_eq!(counts[1], counts[3], "changes: {counts:?}");
        // 140 are created in the third step, and ten are changed.
        assert!(counts[2].1 <= counts[0].1 + 5, "{counts:?}");
    })
    .await;
}
