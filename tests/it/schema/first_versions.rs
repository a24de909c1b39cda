//! The versions that the migration writes for the agents that there are.

use serde_json::{Value, json};

use super::run;
use migration::runner;
use test_support::{Backend, TestApp, TestDatabase, connect_to, factories::id};

const MIGRATION: &str = "m20261126_000080_create_agent_versions_additive";

/// Agents as the build before writes them: with every column, with none, and a deleted one.
const AGENTS: [&str; 3] = [
    "INSERT INTO agents (name, external_id, role, description, system_prompt, base_prompt, skill_names, competencies, \
       can_review, traits, languages, communication_style, temperature, max_tokens, params, model_id, \
       fallback_model_ids, tools, metadata, status, created_at, updated_at) \
     SELECT 'Ada \"é\"', 'ada@x', 'r', 'line\nline', 'prompt', 'base', '[\"b\", \"a\"]', '[\"c\"]', '[\"d\"]', '[\"e\"]', \
       '[\"en\"]', 'brief', 0.7, 100, '{\"top_p\":0.50,\"extra\":{\"n\":12345678901234567}}', id, '[]', \
       '[{\"type\":\"builtin\",\"name\":\"web_search\",\"config\":{\"b\":1e2,\"a\":null}}]', '{\"z\": 1.0, \"a\": 1}', \
       'busy', $now, $now FROM models",
    "INSERT INTO agents (name, created_at, updated_at) VALUES ('plain', $now, $now)",
    "INSERT INTO agents (name, is_active, created_at, updated_at) VALUES ('gone', false, $now, $now)",
];

const CATALOG: [&str; 2] = [
    "INSERT INTO providers (name, api_type, created_at, updated_at) VALUES ('p', 'x', $now, $now)",
    "INSERT INTO models (provider_id, model_name, created_at, updated_at) SELECT id, 'm', $now, $now FROM providers",
];

/// A database of the build before, with agents.
async fn with_agents(backend: Backend) -> TestDatabase {
    let database = TestDatabase::create_empty(backend).await;
    let db = connect_to(&database.url).await;
    let pending = runner::status(&db).await.expect("a status").pending;
    let earlier = pending.iter().position(|name| name == MIGRATION);
    let earlier = u32::try_from(earlier.expect("it is one of them")).expect("few");
    runner::up(&db, Some(earlier)).await.expect("up");
    run(&db, &CATALOG).await;
    run(&db, &AGENTS).await;
    let many = "INSERT INTO agents (name, created_at, updated_at) \
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120) SELECT 'many', $now, $now FROM n";
    run(&db, &[many]).await;
    db.close().await.expect("closed");
    database
}

#[tokio::test]
async fn the_agents_that_there_are_have_a_first_version_with_the_digest_that_the_service_computes()
{
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = with_agents(backend).await;
        let app = TestApp::start(backend, database.settings()).await;
        let restored = app
            .send(reqwest::Method::POST, "/v1/agents/3/restore", None)
            .await;
        assert_eq!(restored.ok()["version"], 1);
        for agent in [1, 2, 3, 123] {
            let first = app
                .get(&format!("/v1/agents/{agent}/versions/1"))
                .await
                .ok();
            assert_eq!(first["created_at"], "2026-01-02T03:04:05Z");
            assert_eq!(
                (&first["key_id"], &first["message"]),
                (&Value::Null, &Value::Null)
            );
            let path = format!("/v1/agents/{agent}");
            let mut body = first["definition"].clone();
            // Written in another form, it is the same still.
            if body["metadata"] != json!({}) {
                body["metadata"] = json!({"a": 1.0, "z": 1});
            }
            let unchanged = app.patch(&path, &body).await.ok();
            assert_eq!(unchanged["version"], 1, "{unchanged}");
            body["external_id"] = Value::Null;
            app.patch(&path, &body).await.ok();
            let again = id(&app.post("/v1/agents", &first["definition"]).await.created());
            let again = app
                .get(&format!("/v1/agents/{again}/versions/1"))
                .await
                .ok();
            assert_eq!(again["digest"], first["digest"]);
        }
        let page = app.get("/v1/agents?limit=200").await.ok();
        let agents = page["data"].as_array().expect("agents").iter();
        assert!(agents.clone().count() > 120);
        for agent in agents {
            let list = app
                .get(&format!("/v1/agents/{}/versions", agent["id"]))
                .await
                .ok();
            assert_eq!(list["data"][0]["number"], agent["version"]);
        }
        app.stop().await;
        database.remove().await;
    }
}

#[tokio::test]
async fn the_first_versions_are_written_again_after_the_migration_was_reverted() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = with_agents(backend).await;
        for steps in [1, 2] {
            let app = TestApp::start(backend, database.settings()).await;
            let role = format!("role {steps}");
            let changed = app.patch("/v1/agents/2", &json!({"role": role})).await;
            assert_eq!(changed.ok()["version"], 2);
            app.stop().await;
            let db = connect_to(&database.url).await;
            let applied = runner::status(&db).await.expect("a status").applied;
            let place = applied.iter().rposition(|name| name == MIGRATION);
            let later = applied.len() - place.expect("applied") - 2;
            let later = u32::try_from(later).expect("few");
            runner::down(&db, Some(later + steps)).await.expect("down");
            runner::up(&db, None).await.expect("up again");
            db.close().await.expect("closed");
            let app = TestApp::start(backend, database.settings()).await;
            let page = app.get("/v1/agents/2/versions").await.ok();
            assert_eq!(page["data"][0]["number"], 1);
            assert_eq!(page["data"][1], Value::Null);
            let first = app.get("/v1/agents/2/versions/1").await.ok();
            assert_eq!(first["definition"]["role"], role);
            app.stop().await;
        }
        database.remove().await;
    }
}
