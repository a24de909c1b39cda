//! API keys to test with, created through the API.

use std::time::{Duration, Instant};

use reqwest::Method;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::{Answer, TestApp, factories::id};

/// The id and the token of a key.
#[derive(Clone, Debug)]
pub struct TestKey {
    pub id: i64,
    pub token: String,
}

impl TestKey {
    pub fn of(created: &Value) -> Self {
        Self {
            id: id(&created["key"]),
            token: created["token"].as_str().expect("a token").to_owned(),
        }
    }
}

impl TestApp {
    /// Creates the first key, without authentication. From then on every operation requires a key.
    pub async fn first_key(&self) -> TestKey {
        let body = json!({"name": "the first", "scopes": ["admin"]});
        TestKey::of(&self.post("/v1/keys", &body).await.created())
    }

    /// Creates another key with the token of an administrator.
    pub async fn key_by(&self, admin: &TestKey, scopes: &[&str]) -> TestKey {
        let body = json!({"name": scopes.join(" and "), "scopes": scopes});
        let answer = self.ask(Method::POST, "/v1/keys", Some(&body), &admin.token);
        TestKey::of(&answer.await.created())
    }

    /// Sends a request with a token.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        token: &str,
    ) -> Answer {
        let mut request = self.request(method, path).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        Answer::to(request).await
    }

    /// Sends a GET with a token.
    pub async fn get_with(&self, path: &str, token: &str) -> Answer {
        self.ask(Method::GET, path, None, token).await
    }

    /// Uses a key, and waits until the database has the time of the use.
    pub async fn use_is_recorded(&self, key: &TestKey) -> Value {
        let path = format!("/v1/keys/{}", key.id);
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let row = self.get_with(&path, &key.token).await.ok();
            if row["last_used_at"].is_string() {
                return row;
            }
            assert!(Instant::now() < deadline, "the use is not recorded");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sets a key's time of expiry to the past.
    pub async fn expire(&self, key: &TestKey) {
        let sql = format!(
            "UPDATE api_keys SET expires_at = '2026-01-02T03:04:05+00:00' WHERE id = {}",
            key.id
        );
        let changed = self.database.connection().execute_unprepared(&sql).await;
        assert_eq!(changed.expect("an update").rows_affected(), 1);
    }
}
