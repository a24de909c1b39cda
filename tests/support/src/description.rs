//! Checks every response that a test gets against the description: the operation declares its status,
//! and the code of a problem is listed.

use std::sync::LazyLock;

use reqwest::Method;
use serde_json::Value;

use super::Answer;

static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../../../openapi.json");
    serde_json::from_str(text).expect("the description")
});

static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let paths = DESCRIPTION["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, item)| {
        let operations = item.as_object().expect("operations").iter();
        operations.map(move |(method, operation)| Operation {
            method: method.to_uppercase().parse().expect("a method"),
            path: path.split('/').collect(),
            responses: &operation["responses"],
        })
    });
    operations.collect()
});

struct Operation {
    method: Method,
    path: Vec<&'static str>,
    responses: &'static Value,
}

impl Operation {
    fn matches(&self, method: &Method, path: &str) -> bool {
        let is_get = *method == Method::HEAD && self.method == Method::GET;
        let mut segments = path.split('/');
        (is_get || self.method == *method)
            && self.path.iter().all(|own| {
                segments
                    .next()
                    .is_some_and(|segment| own.starts_with('{') || *own == segment)
            })
            && segments.next().is_none()
    }
}

/// Fails if a response contradicts the description.
pub(super) fn check(method: &Method, path: &str, answer: &Answer) {
    let mut operations = OPERATIONS.iter();
    if let Some(operation) = operations.find(|operation| operation.matches(method, path)) {
        let status = answer.status.to_string();
        assert!(
            operation.responses.get(&status).is_some(),
            "{method} {path} does not declare {status}: {}",
            answer.text
        );
    }
    if answer.header("content-type") == "application/problem+json" && *method != Method::HEAD {
        let code = &answer.body["code"];
        let listed = DESCRIPTION.pointer("/components/schemas/Problem/properties/code");
        let codes = listed.and_then(|code| code["x-extensible-enum"].as_array());
        assert!(
            codes.is_some_and(|codes| codes.contains(code)),
            "{code} is not listed"
        );
    }
}
