//! Paths, methods and request ids.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;

use super::{every_operation::operations, refused};
use test_support::{Answer, TestApp};

#[tokio::test]
async fn an_unknown_path_has_no_route() {
    refused(async |app| {
        for path in [
            "/v1",
            "/v1/",
            "/v1/bogus",
            "/v1/agents/",
            "/v1//agents",
            "//v1/agents",
            "/V1/agents",
            "/v1/%61gents",
            "/v2/agents",
            "/v1/agents/1/bogus",
            "/v1/circles/x/restart",
            "/docs/",
            "/openapi.yaml",
        ] {
            for method in [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS] {
                let answer = app.send(method, path, None).await;
                answer.problem(404, "route_not_found");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_method_that_a_path_lacks_is_refused_with_those_it_has() {
    refused(async |app| {
        let mut paths: Vec<(String, BTreeSet<String>)> = vec![
            ("/openapi.json".to_owned(), ["GET".to_owned()].into()),
            ("/docs".to_owned(), ["GET".to_owned()].into()),
            ("/".to_owned(), ["GET".to_owned()].into()),
            ("/favicon.ico".to_owned(), ["GET".to_owned()].into()),
        ];
        for (method, path, _) in operations(app).await {
            match paths.last_mut() {
                Some((last, methods)) if *last == path => {
                    methods.insert(method.to_string());
                }
                _ => paths.push((path, [method.to_string()].into())),
            }
        }
        for (path, mut allowed) in paths {
            if allowed.contains("GET") {
                allowed.insert("HEAD".to_owned());
            }
            let allow = allowed.iter().map(String::as_str).collect::<Vec<_>>();
            for method in [
                "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW",
            ] {
                // A probe may ask for the methods of what is public.
                let is_public =
                    ["/v1/pool", "/v1/cache"].contains(&path.as_str()) || !path.starts_with("/v1/");
                let is_probe = method == "OPTIONS" && is_public;
                if allowed.contains(method) || is_probe {
                    continue;
                }
                let method = method.parse().expect("a method");
                let answer = app.send(method, &path, Some(&json!({}))).await;
                assert_eq!(answer.header("allow"), allow.join(", "), "{path}");
                answer.problem(405, "method_not_allowed");
            }
        }
        let answer = app.send(Method::HEAD, "/v1/circles/x/start", None).await;
        assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
    })
    .await;
}

#[tokio::test]
async fn head_answers_as_get_does_but_without_a_body() {
    refused(async |app| {
        let mut paths: Vec<String> = ["/openapi.json", "/docs", "/v1/agents/17", "/bogus"]
            .map(ToOwned::to_owned)
            .into();
        for (method, path, _) in operations(app).await {
            if method == Method::GET {
                paths.push(path);
            }
        }
        for path in paths {
            let get = app.get(&path).await;
            let head = app.send(Method::HEAD, &path, None).await;
            assert_eq!(head.status, get.status, "{path}");
            assert_eq!(head.text, "", "{path}");
            let content_type = head.header("content-type");
            assert_eq!(content_type, get.header("content-type"), "{path}");
        }
        let head = app.send(Method::HEAD, "/v1/agents?bogus=1", None).await;
        assert_eq!(head.status, 422);
    })
    .await;
}

/// A response of every kind to a request with this id.
async fn answers(app: &TestApp, request_id: Option<&[u8]>) -> Vec<Answer> {
    let mut answers = Vec::new();
    for (method, path) in [
        (Method::GET, "/livez"),
        (Method::GET, "/docs"),
        (Method::GET, "/v1/agents"),
        (Method::HEAD, "/v1/agents"),
        (Method::GET, "/v1/agents/17"),
        (Method::GET, "/v1/agents?bogus=1"),
        (Method::POST, "/v1/agents"),
        (Method::PUT, "/v1/agents"),
        (Method::GET, "/bogus"),
    ] {
        let mut request = app.request(method, path);
        if let Some(request_id) = request_id {
            request = request.header("x-request-id", request_id);
        }
        answers.push(Answer::to(request).await);
    }
    answers
}

#[tokio::test]
async fn every_answer_has_a_request_id_of_its_own() {
    refused(async |app| {
        let answers = answers(app, None).await;
        let ids: BTreeSet<&str> = answers
            .iter()
            .map(|answer| answer.header("x-request-id"))
            .filter(|id| id.len() == 36)
            .collect();
        assert_eq!(ids.len(), answers.len());
        for answer in answers
            .iter()
            .filter(|answer| answer.body["status"].is_u64())
        {
            assert_eq!(answer.body["request_id"], answer.header("x-request-id"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_sound_request_id_of_the_caller_is_kept() {
    refused(async |app| {
        let longest = "x".repeat(128);
        for id in ["a", "trace-17/2:3", "!\"~", &longest] {
            for answer in answers(app, Some(id.as_bytes())).await {
                assert_eq!(answer.header("x-request-id"), id);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_unsound_request_id_of_the_caller_is_replaced() {
    refused(async |app| {
        let too_long = "x".repeat(129);
        for id in ["", "two words", "a\tb", "ümlaut", &too_long] {
            for answer in answers(app, Some(id.as_bytes())).await {
                let given = answer.header("x-request-id");
                assert!(given != id && given.len() == 36, "{given}");
            }
        }
    })
    .await;
}
