//! Finds the operation that a request is for, or answers 404 or 405.
//!
//! This happens once, and every middleware inside asks the request for its [`ApiOperation`]. (poem
//! matches the path again to call the handler: poem-openapi's service can't be called without.)

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use poem::{
    Request, Response,
    error::NotFoundError,
    http::{Method, StatusCode, header},
};
use serde_json::Value;

use super::{ApiOperation, Middleware, Next, operation::segments};
use crate::http::{MAX_HEADER_FIELDS, RequestError, drain_body};

/// What can be read beside the operations of the description.
const DOCUMENTS: [&str; 5] = [
    "/openapi.json",
    "/schemas/document.json",
    "/docs",
    "/",
    "/favicon.ico",
];

/// The operations by the number of their paths' segments. Paths with more fixed segments come first.
#[derive(Debug)]
pub(crate) struct Routing(HashMap<usize, Vec<Arc<ApiOperation>>>);

impl Routing {
    /// Compiles the description.
    pub(crate) fn new(description: &Value) -> Self {
        let paths = description["paths"].as_object().into_iter().flatten();
        let operations = paths.flat_map(|(path, item)| {
            let operations = item.as_object().into_iter().flatten();
            operations.map(move |(method, operation)| {
                ApiOperation::compile(path, method, operation, description)
            })
        });
        let documents = DOCUMENTS
            .iter()
            .map(|path| ApiOperation::compile(path, "get", &Value::Null, description));
        let mut all: Vec<_> = operations.chain(documents).map(Arc::new).collect();
        all.sort_by_key(|operation| Reverse(operation.fixed_segments()));
        let mut by_length: HashMap<usize, Vec<_>> = HashMap::new();
        for operation in all {
            let of_this_length = by_length.entry(operation.path.len()).or_default();
            of_this_length.push(operation);
        }
        Self(by_length)
    }

    /// The operations at this path.
    fn at<'r>(&'r self, path: &str) -> impl Iterator<Item = &'r Arc<ApiOperation>> {
        let path: Vec<_> = segments(path).collect();
        let of_this_length = self.0.get(&path.len()).into_iter().flatten();
        of_this_length.filter(move |operation| operation.is_at(&path))
    }

    /// The answer to an OPTIONS request for what anyone may read, as load balancers probe it.
    fn options(&self, request: &Request) -> Option<Response> {
        if request.method() != Method::OPTIONS {
            return None;
        }
        let found = self.at(request.uri().path()).next()?;
        if !found.is_always_served() {
            return None;
        }
        let response = Response::builder().status(StatusCode::NO_CONTENT);
        Some(
            response
                .header(header::ALLOW, "GET, HEAD, OPTIONS")
                .finish(),
        )
    }

    fn find(&self, method: &Method, path: &str) -> poem::Result<&Arc<ApiOperation>> {
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let mut at_path = self.at(path);
        let mut found = at_path.next().ok_or(NotFoundError)?;
        // `/v1/keys/self` is not the key with the id `self`.
        let fixed = found.fixed_segments();
        let mut allow = Vec::new();
        while found.method != *method {
            allow.push(found.method.as_str());
            match at_path.next() {
                Some(next) if next.fixed_segments() == fixed => found = next,
                _ => return Err(method_not_allowed(allow)),
            }
        }
        Ok(found)
    }
}

fn method_not_allowed(mut allow: Vec<&str>) -> poem::Error {
    if allow.contains(&"GET") {
        allow.push("HEAD");
    }
    allow.sort_unstable();
    let allow = allow.join(", ");
    RequestError::Method { allow }.into()
}

impl Middleware for Routing {
    async fn call(
        &self,
        mut request: Box<Request>,
        next: &Arc<impl Next>,
    ) -> poem::Result<Response> {
        if request.headers().len() > MAX_HEADER_FIELDS {
            drain_body(&mut request).await;
            return Err(RequestError::HeaderFields.into());
        }
        if let Some(options) = self.options(&request) {
            return Ok(options);
        }
        match self.find(request.method(), request.uri().path()) {
            Ok(operation) => {
                let operation = Arc::clone(operation);
                request.set_data(operation);
                next.call(request).await
            }
            Err(error) => {
                drain_body(&mut request).await;
                Err(error)
            }
        }
    }
}
