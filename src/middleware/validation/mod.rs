//! Requests are checked against the description that clients are generated from: parameters and
//! bodies, before a handler sees them.
//!
//! A bound is written once, beside its field. What is published is what is enforced, and a response
//! lists everything that is wrong with a request at once.
//!
//! `schema.rs` and `format.rs` know JSON Schema only, and nothing of requests. Start with
//! `RequestValidation::check`.

mod format;
mod free_json;
mod names;
mod patterns;
mod schema;

use std::{collections::HashSet, sync::Arc};

use poem::{
    Body, Request, Response,
    http::{HeaderMap, Method},
};
use serde_json::Value;
use url::form_urlencoded;

pub(crate) use names::MAX_NAME_LENGTH;
pub(crate) use schema::JsonSchema;
pub(super) use schema::resolve;

use super::{
    ApiOperation, Middleware, Next,
    operation::{Segment, segments},
    suspected_secret,
};
use crate::{
    error::{Error, FieldError, FieldErrors},
    http::{BodyBudget, drain_body, keep_digest, parse_json},
    secrets,
};

/// Rejects requests that the description does not allow.
pub(crate) struct RequestValidation {
    bodies: BodyBudget,
}

impl RequestValidation {
    pub(crate) fn new() -> Self {
        Self {
            bodies: BodyBudget::new(),
        }
    }

    /// Checks a request, and returns the places in its body that may hold secrets.
    async fn check(&self, request: &mut Request) -> poem::Result<Vec<String>> {
        let operation = Arc::clone(ApiOperation::of(request)?);
        let (mut errors, mut suspected) = (FieldErrors::default(), Vec::new());
        check_path(&operation, request.uri().path(), &mut errors);
        let query = request.uri().query().unwrap_or_default();
        check_query(&operation, query, &mut errors);
        check_preconditions(&operation, request.headers(), &mut errors);
        if let Some(schema) = &operation.body {
            let mut text = self.bodies.read(request).await?;
            let body = parse_json(&text)?;
            suspected = schema.check_body(&mut text, body, &mut errors);
            keep_digest(request, &text);
            if errors.is_empty() {
                let text = schema.quote_free(text)?;
                request.set_body(Body::from_vec(text));
            }
        }
        if errors.is_empty() {
            Ok(suspected)
        } else {
            Err(Error::Invalid(errors).into())
        }
    }
}

impl JsonSchema {
    /// Collects what is wrong with a body, and returns the places that may hold secrets. Whole numbers become integers in the
    /// text, too.
    pub(crate) fn check_body(
        &self,
        text: &mut Vec<u8>,
        mut body: Value,
        errors: &mut FieldErrors,
    ) -> Vec<String> {
        if self.make_integers(&mut body) {
            *text = body.to_string().into_bytes();
        }
        self.check(&body, errors);
        let found = secrets::look_through(&body);
        errors.append(found.refused);
        found.suspected
    }
}

impl Middleware for RequestValidation {
    async fn call(
        &self,
        mut request: Box<Request>,
        next: &Arc<impl Next>,
    ) -> poem::Result<Response> {
        let suspected = match self.check(&mut request).await {
            Ok(suspected) => suspected,
            Err(error) => {
                drain_body(&mut request).await;
                return Err(error);
            }
        };
        let mut response = next.call(request).await?;
        suspected_secret::report(&mut response, &suspected);
        Ok(response)
    }
}

fn check_path(operation: &ApiOperation, path: &str, errors: &mut FieldErrors) {
    for (segment, text) in operation.path.iter().zip(segments(path)) {
        if let Segment::Parameter { name, schema } = segment {
            let location = Location { kind: "path", name };
            match percent_encoding::percent_decode_str(text).decode_utf8() {
                Ok(text) => location.check(schema, &text, errors),
                Err(_) => errors.push(|| location.error("is not UTF-8")),
            }
        }
    }
}

fn check_query(operation: &ApiOperation, query: &str, errors: &mut FieldErrors) {
    let mut seen = HashSet::new();
    for (name, text) in form_urlencoded::parse(query.as_bytes()) {
        let schema = operation.query.get(&*name);
        let is_first = seen.insert(name.clone());
        let location = Location {
            kind: "query",
            name: &name,
        };
        match schema {
            Some(schema) if is_first => location.check(schema, &text, errors),
            Some(_) => errors.push(|| location.error("is given more than once")),
            None => errors.push(|| location.error("is not a known parameter")),
        }
    }
}

/// Rejects a precondition that the operation does not hold: ignored, it would change what the client wants
/// left alone. A read may ignore an `If-None-Match`, because the whole response is always right.
fn check_preconditions(operation: &ApiOperation, headers: &HeaderMap, errors: &mut FieldErrors) {
    for name in ["If-Match", "If-None-Match"] {
        let may_be_ignored = name == "If-None-Match" && operation.method == Method::GET;
        let is_held = may_be_ignored || operation.headers.contains_key(name);
        if headers.contains_key(name) && !is_held {
            let location = Location {
                kind: "header",
                name,
            };
            errors.push(|| {
                location.error("is not accepted by this operation: it holds no such precondition")
            });
        }
    }
}

/// Where a parameter is.
struct Location<'n> {
    kind: &'static str,
    name: &'n str,
}

impl Location<'_> {
    fn error(&self, detail: &str) -> FieldError {
        let Self { kind, name } = self;
        FieldError {
            pointer: format!("{kind}/{name}"),
            detail: detail.to_owned(),
        }
    }

    fn check(&self, schema: &JsonSchema, text: &str, errors: &mut FieldErrors) {
        if text.contains('\0') {
            errors.push(|| self.error("contains a NUL character"));
        } else if let Some(detail) = schema.check_parameter(text) {
            errors.push(|| self.error(&detail));
        }
    }
}
