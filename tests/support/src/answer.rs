//! A response of the service, with the checks that tests make.

use reqwest::{RequestBuilder, header::HeaderMap};
use serde_json::Value;

use super::{description, events};

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// The body as JSON; null if it is not JSON.
    pub body: Value,
    pub text: String,
}

impl Answer {
    pub async fn to(request: RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let request = request.expect("a request");
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = client.execute(request).await.expect("an answer");
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = events::text_of(response).await;
        let answer = Self {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or_default(),
            text,
        };
        description::check(&method, &path, &answer);
        answer
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("a text"))
    }

    /// The body of a 200.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/json");
        self.body
    }

    /// The body of a 201.
    #[track_caller]
    pub fn created(self) -> Value {
        assert_eq!(self.status, 201, "{}", self.text);
        assert!(
            self.header("location").starts_with("/v1/"),
            "{:?}",
            self.headers
        );
        self.body
    }

    #[track_caller]
    pub fn no_content(self) {
        assert_eq!((self.status, self.text.as_str()), (204, ""));
    }

    /// The body of an error: a problem of this status and code, complete and consistent.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = &self.body;
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], "about:blank");
        assert!(
            problem["title"]
                .as_str()
                .is_some_and(|title| !title.is_empty())
        );
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty())
        );
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        self.body
    }

    /// The body of a 422 that has exactly these pointers, in any order.
    #[track_caller]
    pub fn invalid(self, pointers: &[&str]) -> Value {
        let problem = self.problem(422, "invalid_request");
        let errors = problem["errors"].as_array().expect("errors");
        let mut found: Vec<&str> = errors
            .iter()
            .map(|error| error["pointer"].as_str().expect("a pointer"))
            .collect();
        found.sort_unstable();
        let mut expected = pointers.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "{problem}");
        problem
    }
}
