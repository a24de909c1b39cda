//! Forms of requests that clients and proxies send.

use reqwest::{Method, header::HeaderName};
use serde_json::{Value, json};

use test_support::{Answer, TestApp, factories::assert_holds, on_both};

async fn send(app: &TestApp, method: Method, path: &str, content_type: &str, body: &str) -> Answer {
    let request = app
        .request(method, path)
        .header("content-type", content_type);
    Answer::to(request.body(body.to_owned())).await
}

#[tokio::test]
async fn an_update_may_be_sent_as_the_merge_patch_that_it_is() {
    on_both(async |app| {
        app.an_agent("Ada").await;
        for content_type in [
            "application/merge-patch+json",
            "Application/Merge-Patch+JSON; charset=utf-8",
        ] {
            let patch = send(
                app,
                Method::PATCH,
                "/v1/agents/1",
                content_type,
                r#"{"role": "lead"}"#,
            );
            assert_eq!(patch.await.ok()["role"], "lead");
        }
        let create = send(
            app,
            Method::POST,
            "/v1/agents",
            "application/merge-patch+json",
            "{}",
        );
        create.await.problem(415, "unsupported_media_type");
        let patch = send(
            app,
            Method::PATCH,
            "/v1/agents/1",
            "application/json-patch+json",
            "[]",
        );
        patch.await.problem(415, "unsupported_media_type");
    })
    .await;
}

#[tokio::test]
async fn a_whole_number_is_an_integer_however_it_is_written() {
    on_both(async |app| {
        for (text, value) in [
            ("4096.0", 4096),
            ("4.096e3", 4096),
            ("4096", 4096),
            ("1E2", 100),
        ] {
            let body =
                format!(r#"{{"name": "Ada", "max_tokens": {text}, "metadata": {{"share": 1.0}}}}"#);
            let answer = app.post_text("/v1/agents", "application/json", body).await;
            let expected = json!({"max_tokens": value, "metadata": {"share": 1.0}});
            assert_holds(&answer.created(), &expected);
        }
        for text in ["4096.5", "1e300", "\"4096\"", "-0.5"] {
            let body = format!(r#"{{"name": "Ada", "max_tokens": {text}}}"#);
            let answer = app.post_text("/v1/agents", "application/json", body).await;
            answer.invalid(&["#/max_tokens"]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_time_may_have_lower_case_letters() {
    on_both(async |app| {
        let body = json!({"name": "ops", "scopes": ["read"], "expires_at": "2999-01-01t00:00:00z"});
        let key = app.post("/v1/keys", &body).await.created();
        assert_eq!(key["key"]["expires_at"], "2999-01-01T00:00:00Z");
        let token = key["token"].as_str().expect("a token");
        let request = app.request(Method::GET, "/v1/agents?updated_since=2026-01-31t12:00:00z");
        Answer::to(request.bearer_auth(token)).await.ok();
    })
    .await;
}

#[tokio::test]
async fn a_byte_order_mark_is_not_part_of_a_body() {
    on_both(async |app| {
        let body = "\u{feff}{\"name\": \"Ada\"}";
        let answer = app.post_text("/v1/agents", "application/json", body).await;
        assert_eq!(answer.created()["name"], "Ada");
        let twice = "\u{feff}\u{feff}{\"name\": \"Ada\"}";
        let answer = app.post_text("/v1/agents", "application/json", twice).await;
        answer.problem(400, "malformed_json");
    })
    .await;
}

#[tokio::test]
async fn a_compressed_body_is_refused_for_what_it_is() {
    on_both(async |app| {
        for encoding in ["gzip", "zstd", "br", "gzip, identity"] {
            let request = app
                .request(Method::POST, "/v1/agents")
                .json(&json!({"name": "Ada"}));
            let answer = Answer::to(request.header("content-encoding", encoding)).await;
            let problem = answer.problem(415, "unsupported_media_type");
            let detail = problem["detail"].as_str().expect("a detail");
            assert!(detail.contains("Content-Encoding"), "{detail}");
        }
        let request = app
            .request(Method::POST, "/v1/agents")
            .json(&json!({"name": "Ada"}));
        Answer::to(request.header("content-encoding", "identity"))
            .await
            .created();
    })
    .await;
}

#[tokio::test]
async fn too_many_header_fields_are_a_problem() {
    on_both(async |app| {
        for (count, status) in [(55, 200), (70, 431), (90, 431), (300, 431)] {
            for path in ["/v1/agents", "/livez"] {
                let mut request = app.request(Method::GET, path);
                for index in 0..count {
                    let name: HeaderName = format!("x-{index}").parse().expect("a name");
                    request = request.header(name, "x");
                }
                let answer = Answer::to(request).await;
                assert_eq!(answer.status, status, "{count}");
                if status == 431 && count < 100 {
                    answer.problem(431, "too_many_header_fields");
                }
            }
        }
        let problem = app.get("/nowhere").await;
        problem.problem(404, "route_not_found");
    })
    .await;
}

#[tokio::test]
async fn a_probe_may_ask_for_the_methods_of_what_is_public() {
    on_both(async |app| {
        for path in ["/livez", "/readyz", "/v1/pool", "/docs"] {
            let answer = app.send(Method::OPTIONS, path, None).await;
            assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{path}");
            assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS", "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_precondition_that_a_proxy_has_made_weak_says_so() {
    on_both(async |app| {
        app.an_agent("Ada").await;
        let patch = async |tag: &str| {
            let request = app
                .request(Method::PATCH, "/v1/agents/1")
                .json(&json!({"role": "lead"}));
            Answer::to(request.header("if-match", tag)).await
        };
        for weak in ["W/\"1-1\"", "W/\"1-1\", W/\"1-2\""] {
            let problem: Value = patch(weak).await.problem(412, "precondition_failed");
            let detail = problem["detail"].as_str().expect("a detail");
            assert!(
                detail.contains("weak") && detail.contains("proxy"),
                "{detail}"
            );
        }
        let problem = patch("\"1-9\"").await.problem(412, "precondition_failed");
        assert!(!problem["detail"].to_string().contains("weak"));
        let tag = app.get("/v1/agents/1").await.header("etag").to_owned();
        patch(&format!("W/{tag}, {tag}")).await.ok();
    })
    .await;
}
