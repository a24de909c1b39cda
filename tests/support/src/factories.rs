//! Rows to test with, created through the API, and checks of bodies.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend};
use serde_json::{Value, json};

use super::TestApp;

impl TestApp {
    pub async fn a_provider(&self, name: &str) -> i64 {
        let body = json!({"name": name, "api_type": "openai"});
        id(&self.post("/v1/providers", &body).await.created())
    }

    pub async fn a_model(&self, provider_id: i64, name: &str) -> i64 {
        let body = json!({"provider_id": provider_id, "model_name": name});
        id(&self.post("/v1/models", &body).await.created())
    }

    pub async fn an_agent(&self, name: &str) -> i64 {
        id(&self
            .post("/v1/agents", &json!({"name": name}))
            .await
            .created())
    }

    pub async fn an_agent_on(&self, name: &str, model_id: i64) -> i64 {
        let body = json!({"name": name, "model_id": model_id});
        id(&self.post("/v1/agents", &body).await.created())
    }

    pub async fn a_circle(&self, name: &str) -> Value {
        self.post("/v1/circles", &json!({"name": name}))
            .await
            .created()
    }

    pub async fn a_member(&self, circle: &str, agent_id: i64) -> Value {
        let body = json!({"agent_id": agent_id});
        let path = format!("/v1/circles/{circle}/members");
        self.post(&path, &body).await.created()
    }

    /// One field of all rows of a page.
    pub async fn listed(&self, path: &str, field: &str) -> Vec<Value> {
        let page = self.get(path).await.ok();
        column(&page, field).into_iter().cloned().collect()
    }

    /// The number of rows of a list.
    pub async fn total(&self, list: &str) -> Value {
        let joint = if list.contains('?') { '&' } else { '?' };
        let path = format!("{list}{joint}count=true&limit=1");
        let page = self.get(&path).await.ok();
        page["total"].clone()
    }
}

/// Circles `c1` to `c<count>`, each with all agents.
pub async fn circles_with_all_agents(db: &impl ConnectionTrait, count: u32) {
    let now = match db.get_database_backend() {
        DbBackend::Sqlite => "'2026-01-02T03:04:05.000000+00:00'",
        _ => "now()",
    };
    let circles = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         INSERT INTO circles (name, created_at, updated_at) SELECT 'c' || i, {now}, {now} FROM n"
    );
    let members = format!(
        "INSERT INTO members (circle_id, agent_id, joined_at) SELECT c.id, a.id, {now} FROM circles c, agents a"
    );
    for sql in [circles, members] {
        db.execute_unprepared(&sql).await.expect("rows");
    }
}

/// Checks that `body` has all fields of `expected` with the same values.
#[track_caller]
pub fn assert_holds(body: &Value, expected: &Value) {
    for (field, value) in expected.as_object().expect("an object") {
        assert_eq!(body[field], *value, "{field}");
    }
}

/// A timestamp in a body. Its number of digits varies, so texts do not compare.
#[track_caller]
pub fn timestamp(field: &Value) -> DateTime<Utc> {
    let text = field.as_str().expect("a text");
    text.parse().expect("a timestamp")
}

pub fn id(body: &Value) -> i64 {
    body["id"].as_i64().expect("an id")
}

/// The values of one field in the rows of a page.
pub fn column<'b>(page: &'b Value, field: &str) -> Vec<&'b Value> {
    let rows = page["data"].as_array().expect("a page");
    rows.iter().map(|row| &row[field]).collect()
}
