//! Requests that depend on the state of what they are about.

use reqwest::Method;
use serde_json::Value;

use super::{Answer, TestApp};

impl TestApp {
    /// Reads unless the ETag is still this one.
    pub async fn get_if_none_match(&self, path: &str, tag: &str) -> Answer {
        Answer::to(self.request(Method::GET, path).header("if-none-match", tag)).await
    }

    /// Changes what has this ETag.
    pub async fn patch_if_match(&self, path: &str, tag: &str, body: Value) -> Answer {
        let request = self.request(Method::PATCH, path).header("if-match", tag);
        Answer::to(request.json(&body)).await
    }

    /// Deletes what has this ETag.
    pub async fn delete_if_match(&self, path: &str, tag: &str) -> Answer {
        Answer::to(self.request(Method::DELETE, path).header("if-match", tag)).await
    }
}
