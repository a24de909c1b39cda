//! Requests are checked against the description that clients are generated from: parameters and
//! bodies, before a handler sees them.
//!
//! A bound is written once, beside its field. What is published is what is enforced, and a response
//! lists everything that is wrong with a request at once.
//!
//! `schema.rs` and `format.rs` know JSON Schema only, and nothing of requests. Start with
//! `RequestValidation::check`.

mod format;
mod schema;

use std::{collections::HashSet, sync::Arc};

use poem::{Body, Request, Response};
use url::form_urlencoded;

pub(crate) use schema::JsonSchema;
pub(super) use schema::resolve;

use super::{
    ApiOperation, Middleware, Next,
    operation::{Segment, segments},
    suspected_secret,
};
use crate::{
    error::{Error, FieldError},
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
        let (mut errors, mut suspected) = (Vec::new(), Vec::new());
        check_path(&operation, request.uri().path(), &mut errors);
        let query = request.uri().query().unwrap_or_default();
        check_query(&operation, query, &mut errors);
        if let Some(schema) = &operation.body {
            let text = self.bodies.read(request).await?;
            let body = parse_json(&text)?;
            schema.check(&body, "#", &mut errors);
            let found = secrets::look_through(&body);
            errors.extend(found.refused);
            suspected = found.suspected;
            keep_digest(request, &text);
            request.set_body(Body::from_vec(text));
        }
        if errors.is_empty() {
            Ok(suspected)
        } else {
            Err(Error::Invalid(errors).into())
        }
    }
}

impl Middleware for RequestValidation {
    async fn call(&self, mut request: Request, next: &Arc<impl Next>) -> poem::Result<Response> {
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

fn check_path(operation: &ApiOperation, path: &str, errors: &mut Vec<FieldError>) {
    for (segment, text) in operation.path.iter().zip(segments(path)) {
        if let Segment::Parameter { name, schema } = segment {
            let pointer = format!("path/{name}");
            match percent_encoding::percent_decode_str(text).decode_utf8() {
                Ok(text) => check_parameter(schema, &text, pointer, errors),
                Err(_) => errors.push(FieldError {
                    pointer,
                    detail: "is not UTF-8".to_owned(),
                }),
            }
        }
    }
}

fn check_query(operation: &ApiOperation, query: &str, errors: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for (name, text) in form_urlencoded::parse(query.as_bytes()) {
        let pointer = format!("query/{name}");
        let schema = operation.query.get(&*name);
        match (schema, seen.insert(name)) {
            (Some(schema), true) => check_parameter(schema, &text, pointer, errors),
            (Some(_), false) => errors.push(FieldError {
                pointer,
                detail: "is given more than once".to_owned(),
            }),
            (None, _) => errors.push(FieldError {
                pointer,
                detail: "is not a known parameter".to_owned(),
            }),
        }
    }
}

fn check_parameter(schema: &JsonSchema, text: &str, pointer: String, errors: &mut Vec<FieldError>) {
    if text.contains('\0') {
        errors.push(FieldError {
            pointer,
            detail: "contains a NUL character".to_owned(),
        });
    } else {
        schema.check_parameter(text, &pointer, errors);
    }
}
