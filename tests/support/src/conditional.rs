//! Conditional requests.

use reqwest::Method;
use serde_json::Value;

use super::{Answer, TestApp};

impl TestApp {
    /// Sends a GET with `If-None-Match`.
    pub async fn get_if_none_match(&self, path: &str, tag: &str) -> Answer {
        Answer::to(self.request(Method::GET, path).header("if-none-match", tag)).await
    }

    /// Sends a PATCH with `If-Match`.
    pub async fn patch_if_match(&self, path: &str, tag: &str, body: Value) -> Answer {
        let request = self.request(Method::PATCH, path).header("if-match", tag);
        Answer::to(request.json(&body)).await
    }

    /// Sends a DELETE with `If-Match`.
    pub async fn delete_if_match(&self, path: &str, tag: &str) -> Answer {
        Answer::to(self.request(Method::DELETE, path).header("if-match", tag)).await
    }
}
