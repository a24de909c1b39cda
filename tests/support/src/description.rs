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
    fn has_method(&self, method: &Method) -> bool {
        let is_get = *method == Method::HEAD && self.method == Method::GET;
        is_get || self.method == *method
    }

    fn has_path(&self, path: &str) -> bool {
        let mut segments = path.split('/');
        let has = |own: &&str| {
            let segment = segments.next();
            segment.is_some_and(|segment| own.starts_with('{') || *own == segment)
        };
        self.path.iter().all(has) && segments.next().is_none()
    }

    fn parameters(&self) -> usize {
        let is_parameter = |segment: &&&str| segment.starts_with('{');
        self.path.iter().filter(is_parameter).count()
    }
}

/// The operation of a request: `/v1/keys/self` is not the key with the id `self`.
fn find(method: &Method, path: &str) -> Option<&'static Operation> {
    let at_path = || {
        OPERATIONS
            .iter()
            .filter(|operation| operation.has_path(path))
    };
    let fewest = at_path().map(Operation::parameters).min();
    at_path()
        .filter(|operation| Some(operation.parameters()) == fewest)
        .find(|operation| operation.has_method(method))
}

/// Fails if a response contradicts the description.
pub(super) fn check(method: &Method, path: &str, answer: &Answer) {
    if let Some(operation) = find(method, path) {
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
