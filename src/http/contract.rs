//! Nothing undeclared gets in. The description that clients are generated from is also what
//! requests are held against: paths, methods, parameters and bodies, before a handler sees them.
//!
//! So a bound is written once, beside the field it is for; what is published is what is enforced,
//! and a client learns everything that is wrong with its request at once.

use std::{collections::BTreeMap, sync::Arc};

use poem::{
    Body, Endpoint, IntoResponse, Middleware, Request, Response,
    error::ReadBodyError,
    http::{Method, header},
};
use serde_json::Value;
use url::form_urlencoded;

use crate::{
    error::{Error, FieldError},
    http::{MAX_BODY, json, problem::Rejection, schema::Schema},
};

/// What the description demands of requests.
#[derive(Clone, Debug)]
pub(crate) struct Contract(Arc<Vec<Operation>>);

#[derive(Debug)]
struct Operation {
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

impl Contract {
    /// Compiles the description.
    pub(crate) fn new(description: &Value) -> Self {
        let paths = description["paths"].as_object().into_iter().flatten();
        let operations = paths.flat_map(|(path, item)| {
            let operations = item.as_object().into_iter().flatten();
            operations.map(move |(method, operation)| {
                Operation::compile(path, method, operation, description)
            })
        });
        Self(Arc::new(operations.collect()))
    }

    /// The operation that a request is for; `None` for a path outside the description.
    fn find(&self, method: &Method, path: &str) -> Result<Option<&Operation>, Rejection> {
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let here = || self.0.iter().filter(|operation| operation.is_at(&segments));
        match here().find(|operation| operation.method == *method) {
            Some(operation) => Ok(Some(operation)),
            None if here().next().is_none() => Ok(None),
            None => {
                let mut allow: Vec<&str> = here().map(|found| found.method.as_str()).collect();
                if allow.contains(&"GET") {
                    allow.push("HEAD");
                }
                allow.sort_unstable();
                Err(Rejection::Method {
                    allow: allow.join(", "),
                })
            }
        }
    }

    async fn admit(&self, request: &mut Request) -> poem::Result<()> {
        let Some(operation) = self.find(request.method(), request.uri().path())? else {
            return Ok(());
        };
        let mut errors = Vec::new();
        operation.check_path(request.uri().path(), &mut errors);
        operation.check_query(request.uri().query().unwrap_or_default(), &mut errors);
        if let Some(schema) = &operation.body {
            let text = read_body(request).await?;
            schema.check(&json::parse(&text)?, "#", &mut errors);
            request.set_body(Body::from_vec(text));
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid(errors).into())
        }
    }
}

async fn read_body(request: &mut Request) -> poem::Result<Vec<u8>> {
    let declared = request.content_type().unwrap_or_default();
    let (essence, _) = declared.split_once(';').unwrap_or((declared, ""));
    if !essence.trim().eq_ignore_ascii_case("application/json") {
        return Err(Rejection::ContentType.into());
    }
    let too_large = request
        .header(header::CONTENT_LENGTH)
        .and_then(|length| length.parse().ok())
        .is_some_and(|length: usize| length > MAX_BODY);
    if too_large {
        return Err(Rejection::TooLarge.into());
    }
    match request.take_body().into_bytes_limit(MAX_BODY).await {
        Ok(text) => Ok(text.into()),
        Err(ReadBodyError::PayloadTooLarge) => Err(Rejection::TooLarge.into()),
        Err(_) => Err(Rejection::Incomplete.into()),
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
        let segments = path.trim_start_matches('/').split('/').map(|segment| {
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
        Self {
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
        let given = path.trim_start_matches('/').split('/');
        for (own, given) in self.path.iter().zip(given) {
            if let Segment::Parameter { name, schema } = own {
                let text = percent_encoding::percent_decode_str(given).decode_utf8_lossy();
                check_parameter(schema, &text, &format!("path/{name}"), errors);
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

impl<E: Endpoint> Middleware<E> for Contract {
    type Output = ContractEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        ContractEndpoint {
            inner,
            contract: self.clone(),
        }
    }
}

pub(crate) struct ContractEndpoint<E> {
    inner: E,
    contract: Contract,
}

impl<E: Endpoint> Endpoint for ContractEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        self.contract.admit(&mut request).await?;
        self.inner
            .call(request)
            .await
            .map(IntoResponse::into_response)
    }
}
