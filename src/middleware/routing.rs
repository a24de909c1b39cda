//! Finds the operation that a request is for, or answers 404 or 405.
//!
//! This happens once, and every middleware inside asks the request for its [`ApiOperation`]. (poem
//! matches the path again to call the handler: poem-openapi's service can't be called without.)

use std::sync::Arc;

use matchit::Router;
use poem::{
    Request, Response,
    error::NotFoundError,
    http::{Method, StatusCode, header},
};
use serde_json::Value;

use super::{ApiOperation, Middleware, Next};
use crate::http::{MAX_HEADER_FIELDS, RequestError, drain_body};

/// The operations by their paths.
pub(crate) struct Routing(Router<Vec<Arc<ApiOperation>>>);

impl Routing {
    /// Compiles the description, and adds pages that are not in it.
    pub(crate) fn new<'p>(description: &Value, pages: impl IntoIterator<Item = &'p str>) -> Self {
        let mut router = Router::new();
        let mut add = |path: &str, operations: Vec<_>| {
            router
                .insert(path, operations)
                .expect("a path that no other hides");
        };
        for (path, item) in description["paths"].as_object().into_iter().flatten() {
            let operations = item.as_object().into_iter().flatten();
            let compile = |(method, operation): (&String, _)| {
                Arc::new(ApiOperation::compile(path, method, operation, description))
            };
            add(path, operations.map(compile).collect());
        }
        for path in pages {
            let page = ApiOperation::compile(path, "get", &Value::Null, description);
            add(path, vec![Arc::new(page)]);
        }
        Self(router)
    }

    /// The operations at this path. `/v1/keys/self` is not the key with the id `self`.
    fn at(&self, path: &str) -> &[Arc<ApiOperation>] {
        self.0.at(path).map_or(&[], |found| found.value)
    }

    /// The answer to an OPTIONS request for what anyone may read, as load balancers probe it.
    fn options(&self, request: &Request) -> Option<Response> {
        if request.method() != Method::OPTIONS {
            return None;
        }
        let found = self.at(request.uri().path()).first()?;
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
        let operations = self.at(path);
        if operations.is_empty() {
            return Err(NotFoundError.into());
        }
        operations
            .iter()
            .find(|operation| operation.method == *method)
            .ok_or_else(|| method_not_allowed(operations))
    }
}

fn method_not_allowed(operations: &[Arc<ApiOperation>]) -> poem::Error {
    let methods = operations.iter().map(|operation| operation.method.as_str());
    let mut allow: Vec<_> = methods.collect();
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
