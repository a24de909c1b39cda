//! Bodies that are malformed, mistyped or too large.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
};

use futures_util::stream;
use reqwest::{Body, Method};
use serde_json::{Value, json};

use super::{RESOURCES, pointers, refused};
use test_support::{Answer, TestApp};

const JSON: &str = "application/json";
const LIMIT: usize = 2 << 20;

/// The responses to a body of a create and of an update.
async fn sent(app: &TestApp, list: &str, row: &str, body: &[u8]) -> [Answer; 2] {
    let send = async |method, path| {
        let request = app.request(method, path).header("content-type", JSON);
        Answer::to(request.body(body.to_vec())).await
    };
    [
        send(Method::POST, list).await,
        send(Method::PATCH, row).await,
    ]
}

#[tokio::test]
async fn what_is_not_json_is_refused() {
    refused(async |app| {
        let deep = format!("{{\"name\": {}", "[".repeat(200));
        for body in [
            &b""[..],
            b" ",
            b"{",
            b"nul",
            b"{\"name\":}",
            b"{\"name\":\"a\",}",
            b"{\"name\":\"a\"}{}",
            b"{'name':'a'}",
            b"{\"name\":\"\xff\"}",
            b"{\"name\":\"\\ud800\"}",
            b"{\"name\":\"\n\"}",
            b"{\"name\":NaN}",
            b"{\"temperature\":1e400}",
            b"{\"metadata\":{\"a\":-1e400}}",
            b"name=a",
            deep.as_bytes(),
        ] {
            for (list, row) in RESOURCES {
                for answer in sent(app, list, row, body).await {
                    answer.problem(400, "malformed_json");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_that_is_not_an_object_is_refused() {
    refused(async |app| {
        for body in ["null", "true", "1", "\"a\"", "[]", "[{\"name\":\"a\"}]"] {
            for (list, row) in RESOURCES {
                for answer in sent(app, list, row, body.as_bytes()).await {
                    answer.invalid(&["#"]);
                }
            }
        }
    })
    .await;
}

/// A value of each JSON type.
fn one_of_each() -> [(&'static str, Value); 7] {
    [
        ("string", json!("\u{1F980} no such thing")),
        ("integer", json!(1)),
        ("number", json!(1.5)),
        ("boolean", json!(true)),
        ("list", json!([])),
        ("object", json!({})),
        ("null", Value::Null),
    ]
}

#[tokio::test]
async fn a_value_of_the_wrong_type_is_refused() {
    refused(async |app| {
        for (number, field, taken) in [
            (0, "display_name", &["string", "null"][..]),
            (0, "api_type", &[]),
            (0, "is_local", &["boolean"]),
            (0, "config", &["object"]),
            (1, "provider_id", &["integer"]),
            (1, "model_name", &["string"]),
            (1, "input_price", &["null"]),
            (1, "context_window", &["integer", "null"]),
            (1, "supports_tools", &["boolean"]),
            (1, "release_date", &["null"]),
            (2, "name", &["string"]),
            (2, "skill_names", &["list"]),
            (2, "temperature", &["integer", "number", "null"]),
            (2, "model_id", &["integer", "null"]),
            (2, "status", &[]),
            (2, "metadata", &["object"]),
            (3, "name", &[]),
            (3, "auto_route", &["boolean"]),
            (3, "max_members", &["integer", "null"]),
            (3, "settings", &["object"]),
            (4, "agent_id", &["integer"]),
            (4, "role", &[]),
            (4, "competencies", &["list"]),
            (4, "permissions", &["object"]),
        ] {
            let (list, row) = RESOURCES[number];
            let wrong = one_of_each().into_iter();
            for (_, value) in wrong.filter(|(kind, _)| !taken.contains(kind)) {
                let mut body = super::nearly_right(list);
                body[field] = value;
                let pointer = format!("#/{field}");
                let found = pointers(app.post(list, &body).await, 422, "invalid_request");
                assert!(found.contains(&pointer), "{list} {body}: {found:?}");
                let patch = json!({ field: body[field] });
                app.patch(row, &patch).await.invalid(&[&pointer]);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn everything_wrong_is_told_at_once() {
    refused(async |app| {
        let body = json!({
            "name": 1, "temperature": "hot", "skill_names": [1, "fine", "", null],
            "metadata": [], "bogus": 1, "a/b~c": 2, "max_tokens": 1.5
        });
        let expected = [
            "query/bogus",
            "#/name",
            "#/temperature",
            "#/skill_names/0",
            "#/skill_names/2",
            "#/skill_names/3",
            "#/metadata",
            "#/bogus",
            "#/a~1b~0c",
            "#/max_tokens",
        ];
        let answer = app.post("/v1/agents?bogus=1", &body).await;
        answer.invalid(&expected);
        let answer = app.patch("/v1/agents/1?bogus=1", &body).await;
        answer.invalid(&expected);
    })
    .await;
}

#[tokio::test]
async fn a_number_that_64_bits_can_t_hold_is_refused() {
    refused(async |app| {
        for number in [
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551616",
            "1e19",
            "1.5",
        ] {
            let body = format!("{{\"model_id\": {number}}}");
            let request = app.request(Method::PATCH, "/v1/agents/1");
            let request = request.header("content-type", JSON).body(body);
            Answer::to(request).await.invalid(&["#/model_id"]);
        }
        let patch = json!({"model_id": i64::MAX});
        let answer = app.patch("/v1/agents/1", &patch).await;
        answer.invalid(&["#/model_id"]);
    })
    .await;
}

#[tokio::test]
async fn a_key_that_appears_twice_is_refused() {
    refused(async |app| {
        for (body, expected) in [
            (r#"{"name":"a","name":"b"}"#, "#/name"),
            (r#"{"name":"a","n\u0061me":"a"}"#, "#/name"),
            (r#"{"bogus":1,"bogus":2}"#, "#/bogus"),
            (
                r#"{"metadata":{"a":[{"b/c":1,"b/c":1}]}}"#,
                "#/metadata/a/0/b~1c",
            ),
        ] {
            for answer in sent(app, "/v1/agents", "/v1/agents/1", body.as_bytes()).await {
                assert_eq!(pointers(answer, 400, "duplicate_key"), [expected]);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_nul_character_is_refused_wherever_it_stands() {
    refused(async |app| {
        for (body, expected) in [
            (json!({"name": "a\0b"}), "#/name"),
            (json!({"skill_names": ["a", "\0"]}), "#/skill_names/1"),
            (
                json!({"metadata": {"a": [{"b": "\0"}]}}),
                "#/metadata/a/0/b",
            ),
            (json!({"metadata": {"k\0": 1}}), "#/metadata/k\0"),
            (json!({"\0": 1}), "#/\0"),
        ] {
            app.post("/v1/agents", &body).await.invalid(&[expected]);
            app.patch("/v1/agents/1", &body).await.invalid(&[expected]);
        }
        let config = json!({"name": "p", "api_type": "x", "config": {"\0": "\0"}});
        let answer = app.post("/v1/providers", &config).await;
        answer.invalid(&["#/config/\0", "#/config/\0"]);
        let settings = json!({"settings": {"a": "\0"}});
        let answer = app.patch("/v1/circles/x", &settings).await;
        answer.invalid(&["#/settings/a"]);
        let permissions = json!({"permissions": {"a": "\0"}});
        let answer = app.patch("/v1/circles/x/members/1", &permissions).await;
        answer.invalid(&["#/permissions/a"]);
    })
    .await;
}

#[tokio::test]
async fn a_body_must_be_declared_as_json() {
    refused(async |app| {
        let body = r#"{"name":""}"#;
        for other in [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/problem+json",
            "application/jsonx",
            "text/json",
        ] {
            let answer = app.post_text("/v1/agents", other, body).await;
            answer.problem(415, "unsupported_media_type");
        }
        for method in [Method::POST, Method::PATCH] {
            let path = if method == Method::POST {
                "/v1/agents"
            } else {
                "/v1/agents/1"
            };
            for request in [
                app.request(method.clone(), path),
                app.request(method.clone(), path).body(body),
            ] {
                let answer = Answer::to(request).await;
                answer.problem(415, "unsupported_media_type");
            }
        }
        for json in [
            "application/json; charset=utf-8",
            "application/json;charset=UTF-8",
            "Application/JSON",
            " application/json ",
        ] {
            let answer = app.post_text("/v1/agents", json, body).await;
            answer.invalid(&["#/name"]);
        }
    })
    .await;
}

/// A body of this length. Its only fault is an empty name.
fn body_of(length: usize) -> Vec<u8> {
    let mut body = br#"{"name":""}"#.to_vec();
    body.resize(length, b' ');
    body
}

/// The same without a Content-Length.
fn stream_of(length: usize) -> Body {
    let parts: Vec<io::Result<Vec<u8>>> = body_of(length)
        .chunks(10_000)
        .map(|part| Ok(part.to_vec()))
        .collect();
    Body::wrap_stream(stream::iter(parts))
}

#[tokio::test]
async fn a_body_over_two_mebibytes_is_refused() {
    refused(async |app| {
        for length in [LIMIT + 1, 4 * LIMIT] {
            for body in [body_of(length).into(), stream_of(length)] {
                let answer = app.post_text("/v1/agents", JSON, body).await;
                answer.problem(413, "body_too_large");
            }
            let request = app.request(Method::PATCH, "/v1/circles/x");
            let request = request.header("content-type", JSON);
            let answer = Answer::to(request.body(body_of(length))).await;
            answer.problem(413, "body_too_large");
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_of_two_mebibytes_is_read() {
    refused(async |app| {
        for body in [body_of(LIMIT).into(), stream_of(LIMIT)] {
            let answer = app.post_text("/v1/agents", JSON, body).await;
            answer.invalid(&["#/name"]);
        }
    })
    .await;
}

/// The response to these bytes, followed by nothing.
async fn answer_to_bytes(app: &TestApp, bytes: String) -> String {
    let address = app.base.trim_start_matches("http://").to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        let mut connection = TcpStream::connect(address)?;
        connection.write_all(bytes.as_bytes())?;
        connection.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        io::Result::Ok(answer)
    });
    asked.await.expect("a thread").expect("an answer")
}

fn head(path: &str, content_type: &str, more: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}\r\n{more}\r\n\r\n"
    )
}

fn head_of_agent(more: &str) -> String {
    head("/v1/agents", JSON, more)
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_sends_to_the_end_before_it_reads() {
    refused(async |app| {
        for (path, content_type, status) in [
            ("/v1/agents", JSON, 413),
            ("/v1/bogus", JSON, 404),
            ("/v1/agents/1", JSON, 405),
            ("/v1/agents", "text/plain", 415),
        ] {
            let length = 8 * LIMIT;
            let head = head(path, content_type, &format!("content-length: {length}"));
            let answer = answer_to_bytes(app, head + &" ".repeat(length)).await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{answer}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    refused(async |app| {
        for bytes in [
            head_of_agent("content-length: 100") + r#"{"name":"a"}"#,
            head_of_agent("transfer-encoding: chunked") + "c\r\n{\"name\":\"a\"}\r\n",
            head_of_agent("transfer-encoding: chunked") + "bogus\r\n",
        ] {
            let answer = answer_to_bytes(app, bytes).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
            assert!(answer.contains(r#""code":"incomplete_body""#), "{answer}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_too_much_is_told_at_once() {
    refused(async |app| {
        let length = LIMIT + 1;
        let fields = format!("expect: 100-continue\r\ncontent-length: {length}");
        let bytes = head_of_agent(&fields);
        let answer = answer_to_bytes(app, bytes).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains(r#""code":"body_too_large""#), "{answer}");
    })
    .await;
}
