//! API keys to test with, made through the API.

use reqwest::Method;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::{Answer, TestApp, factories::id};

/// A key by its id and its token.
#[derive(Clone, Debug)]
pub(crate) struct TestKey {
    pub(crate) id: i64,
    pub(crate) token: String,
}

impl TestKey {
    pub(crate) fn of(created: &Value) -> Self {
        Self {
            id: id(&created["key"]),
            token: created["token"].as_str().expect("a token").to_owned(),
        }
    }
}

impl TestApp {
    /// The first key, made by nobody in particular; from then on every operation needs one.
    pub(crate) async fn first_key(&self) -> TestKey {
        let body = json!({"name": "the first", "scopes": ["admin"]});
        TestKey::of(&self.post("/v1/keys", &body).await.created())
    }

    /// A further key, made with one that has the scope to.
    pub(crate) async fn key_by(&self, admin: &TestKey, scopes: &[&str]) -> TestKey {
        let body = json!({"name": scopes.join(" and "), "scopes": scopes});
        let answer = self.ask(Method::POST, "/v1/keys", Some(&body), &admin.token);
        TestKey::of(&answer.await.created())
    }

    /// Sends a request with a token.
    pub(crate) async fn ask(
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

    /// Reads with a token.
    pub(crate) async fn get_with(&self, path: &str, token: &str) -> Answer {
        self.ask(Method::GET, path, None, token).await
    }

    /// Makes a key expire in the past.
    pub(crate) async fn expire(&self, key: &TestKey) {
        let sql = format!(
            "UPDATE api_keys SET expires_at = '2026-01-02T03:04:05+00:00' WHERE id = {}",
            key.id
        );
        let changed = self.database.connection().execute_unprepared(&sql).await;
        assert_eq!(changed.expect("an update").rows_affected(), 1);
    }
}
