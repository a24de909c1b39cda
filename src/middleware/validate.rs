//! Nothing undeclared gets in. The description that clients are generated from is also what
//! requests are held against: paths, methods, parameters and bodies, before a handler sees them.
//!
//! So a bound is written once, beside the field it is for; what is published is what is enforced,
//! and a client learns everything that is wrong with its request at once.

use std::{collections::BTreeMap, sync::Arc};

use poem::{
    Body, Endpoint, IntoResponse, Middleware, Request, Response, error::NotFoundError, http::Method,
};
use serde_json::Value;
use url::form_urlencoded;

use super::{
    auth::{Access, access_to},
    schema::Schema,
    suspected_secret,
};
use crate::{
    error::{Error, FieldError},
    http::{BodyRoom, RequestError, keep_digest, parse_json, read_away},
    secrets,
};

/// What can be read beside the operations of the description.
const DOCUMENTS: [&str; 2] = ["/openapi.json", "/docs"];

/// What the description demands of requests.
#[derive(Clone, Debug)]
pub(crate) struct RequestValidation {
    operations: Arc<Vec<Operation>>,
    room: BodyRoom,
}

#[derive(Debug)]
struct Operation {
    access: Access,
    method: Method,
    path: Vec<Segment>,
    query: BTreeMap<String, Schema>,
    body: Option<Schema>,
}

#[derive(Debug)]
enum Segment {
    Fixed(String),
    Parameter { name: String, schema: Schema },
}

impl RequestValidation {
    /// Compiles the description.
    pub(crate) fn new(description: &Value) -> Self {
        let paths = description["paths"].as_object().into_iter().flatten();
        let operations = paths.flat_map(|(path, item)| {
            let operations = item.as_object().into_iter().flatten();
            operations.map(move |(method, operation)| {
                Operation::compile(path, method, operation, description)
            })
        });
        let documents = DOCUMENTS
            .iter()
            .map(|path| Operation::compile(path, "get", &Value::Null, description));
        Self {
            operations: Arc::new(operations.chain(documents).collect()),
            room: BodyRoom::new(),
        }
    }

    /// What the operation that a request is for needs of the caller. Where there is no such
    /// operation, that is nothing: [`RequestValidation`] says so to anyone.
    pub(crate) fn access_to(&self, request: &Request) -> Access {
        let found = self.find(request.method(), request.uri().path());
        found.map_or(Access::Public, |operation| operation.access)
    }

    /// The operation that a request is for.
    fn find(&self, method: &Method, path: &str) -> poem::Result<&Operation> {
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let segments: Vec<&str> = segments(path).collect();
        let here = || {
            let operations = self.operations.iter();
            operations.filter(|operation| operation.is_at(&segments))
        };
        match here().find(|operation| operation.method == *method) {
            Some(operation) => Ok(operation),
            None if here().next().is_none() => Err(NotFoundError.into()),
            None => {
                let mut allow: Vec<&str> = here().map(|found| found.method.as_str()).collect();
                if allow.contains(&"GET") {
                    allow.push("HEAD");
                }
                allow.sort_unstable();
                Err(RequestError::Method {
                    allow: allow.join(", "),
                }
                .into())
            }
        }
    }

    /// Checks a request; answers the places of what may be secrets in its body.
    async fn admit(&self, request: &mut Request) -> poem::Result<Vec<String>> {
        let operation = self.find(request.method(), request.uri().path())?;
        let (mut errors, mut suspected) = (Vec::new(), Vec::new());
        operation.check_path(request.uri().path(), &mut errors);
        operation.check_query(request.uri().query().unwrap_or_default(), &mut errors);
        if let Some(schema) = &operation.body {
            let text = self.room.read(request).await?;
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

impl Operation {
    fn compile(path: &str, method: &str, operation: &Value, description: &Value) -> Self {
        let parameters = |place: &str| -> BTreeMap<String, Schema> {
            let all = operation["parameters"].as_array().into_iter().flatten();
            all.filter(|parameter| parameter["in"] == place)
                .filter_map(|parameter| {
                    let schema = Schema::compile(&parameter["schema"], description);
                    Some((parameter["name"].as_str()?.to_owned(), schema))
                })
                .collect()
        };
        let mut in_path = parameters("path");
        let segments = segments(path).map(|segment| {
            let name = segment
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'));
            match name {
                Some(name) => Segment::Parameter {
                    name: name.to_owned(),
                    schema: in_path.remove(name).expect("a declared path parameter"),
                },
                None => Segment::Fixed(segment.to_owned()),
            }
        });
        let body = operation.pointer("/requestBody/content/application~1json/schema");
        let access = match operation["operationId"].as_str() {
            Some(id) => access_to(id).expect("a declared access"),
            None => Access::Public,
        };
        Self {
            access,
            method: method.to_uppercase().parse().expect("a method"),
            path: segments.collect(),
            query: parameters("query"),
            body: body.map(|schema| Schema::compile(schema, description)),
        }
    }

    fn is_at(&self, segments: &[&str]) -> bool {
        self.path.len() == segments.len()
            && self
                .path
                .iter()
                .zip(segments)
                .all(|(own, given)| match own {
                    Segment::Fixed(text) => text == given,
                    Segment::Parameter { .. } => !given.is_empty(),
                })
    }

    fn check_path(&self, path: &str, errors: &mut Vec<FieldError>) {
        for (own, given) in self.path.iter().zip(segments(path)) {
            if let Segment::Parameter { name, schema } = own {
                let place = format!("path/{name}");
                match percent_encoding::percent_decode_str(given).decode_utf8() {
                    Ok(text) => check_parameter(schema, &text, &place, errors),
                    Err(_) => errors.push(FieldError {
                        pointer: place,
                        detail: "is not UTF-8".to_owned(),
                    }),
                }
            }
        }
    }

    fn check_query(&self, query: &str, errors: &mut Vec<FieldError>) {
        let mut seen: Vec<String> = Vec::new();
        for (name, text) in form_urlencoded::parse(query.as_bytes()) {
            let place = format!("query/{name}");
            let mut wrong = |detail: &str| {
                errors.push(FieldError {
                    pointer: place.clone(),
                    detail: detail.to_owned(),
                });
            };
            match self.query.get(&*name) {
                None => wrong("is not a known parameter"),
                Some(_) if seen.iter().any(|seen| *seen == name) => {
                    wrong("is given more than once");
                }
                Some(schema) => check_parameter(schema, &text, &place, errors),
            }
            seen.push(name.into_owned());
        }
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

fn check_parameter(schema: &Schema, text: &str, place: &str, errors: &mut Vec<FieldError>) {
    if text.contains('\0') {
        errors.push(FieldError {
            pointer: place.to_owned(),
            detail: "holds a NUL character".to_owned(),
        });
    } else {
        schema.check_parameter(text, place, errors);
    }
}

impl<E: Endpoint> Middleware<E> for RequestValidation {
    type Output = RequestValidationEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        RequestValidationEndpoint {
            inner,
            contract: self.clone(),
        }
    }
}

pub(crate) struct RequestValidationEndpoint<E> {
    inner: E,
    contract: RequestValidation,
}

impl<E: Endpoint> Endpoint for RequestValidationEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let suspected = match self.contract.admit(&mut request).await {
            Ok(suspected) => suspected,
            Err(refused) => {
                read_away(&mut request).await;
                return Err(refused);
            }
        };
        let mut response = self.inner.call(request).await?.into_response();
        suspected_secret::report(&mut response, &suspected);
        Ok(response)
    }
}
