//! Header fields that can't be read, or come in several lines.

use reqwest::{
    Method,
    header::{HeaderName, HeaderValue},
};
use serde_json::json;

use test_support::{Answer, TestApp, on_both};

const PATH: &str = "/v1/agents/1";

async fn tag_of(app: &TestApp) -> String {
    app.get(PATH).await.header("etag").to_owned()
}

async fn send(app: &TestApp, method: Method, name: &'static str, lines: &[&str]) -> Answer {
    let mut request = app.request(method.clone(), PATH);
    for line in lines {
        let value = HeaderValue::from_bytes(line.as_bytes()).expect("a value");
        request = request.header(HeaderName::from_static(name), value);
    }
    if method == Method::PATCH {
        request = request.json(&json!({"role": "tester"}));
    }
    Answer::to(request).await
}

#[tokio::test]
async fn a_precondition_that_can_t_be_read_is_not_taken_for_none() {
    on_both(async |app| {
        app.an_agent("Ada").await;
        let tag = tag_of(app).await;
        for method in [Method::PATCH, Method::DELETE] {
            for lines in [&["\"9-9é\""][..], &["é"], &[&tag, "é"]] {
                let answer = send(app, method.clone(), "if-match", lines).await;
                answer.problem(400, "unreadable_header");
            }
        }
        assert_eq!(tag_of(app).await, tag);
    })
    .await;
}

#[tokio::test]
async fn the_lines_of_a_precondition_are_one_list() {
    on_both(async |app| {
        app.an_agent("Ada").await;
        let other = ["\"1-7\"", "\"1-8\""];
        let answer = send(app, Method::PATCH, "if-match", &other).await;
        answer.problem(412, "precondition_failed");
        let second = ["\"1-7\"", &tag_of(app).await];
        send(app, Method::PATCH, "if-match", &second).await.ok();
        let second = ["\"1-7\"", &tag_of(app).await];
        let answer = send(app, Method::GET, "if-none-match", &second).await;
        assert_eq!(answer.status, 304);
        send(app, Method::GET, "if-none-match", &["é"]).await.ok();
    })
    .await;
}

#[tokio::test]
async fn two_idempotency_keys_are_none() {
    on_both(async |app| {
        let request = app.request(Method::POST, "/v1/agents");
        let request = request.json(&json!({"name": "Ada"}));
        let request = request.header("idempotency-key", "one");
        Answer::to(request.header("idempotency-key", "two"))
            .await
            .invalid(&["header/Idempotency-Key"]);
        assert_eq!(app.get("/v1/agents").await.ok()["data"], json!([]));
    })
    .await;
}
