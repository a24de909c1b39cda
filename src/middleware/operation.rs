//! An operation of the description, compiled: where it is, who may call it, and what it takes.

use std::{collections::BTreeMap, sync::Arc};

use poem::{Request, error::NotFoundError, http::Method};
use serde_json::Value;

use super::{
    access::{Access, access_to},
    read_replicas::is_of_the_primary,
    validation::{JsonSchema, resolve},
};

#[derive(Debug)]
pub(crate) struct ApiOperation {
    pub(super) access: Access,
    /// Whether no replica can answer.
    pub(super) asks_the_primary: bool,
    pub(super) method: Method,
    /// The path with the names of its parameters, as `/v1/circles/{circle_name}`.
    pub(super) route: String,
    pub(super) path: Vec<Segment>,
    pub(super) query: BTreeMap<String, JsonSchema>,
    pub(super) headers: BTreeMap<String, JsonSchema>,
    pub(super) body: Option<JsonSchema>,
}

/// What stands between two slashes of a path.
#[derive(Debug)]
pub(super) enum Segment {
    Fixed,
    Parameter { name: String, schema: JsonSchema },
}

impl ApiOperation {
    /// The operation that [`Routing`](super::Routing) found for this request.
    pub(super) fn of(request: &Request) -> Result<&Arc<Self>, NotFoundError> {
        request.data().ok_or(NotFoundError)
    }

    /// Compiles an operation of the description.
    pub(super) fn compile(
        path: &str,
        method: &str,
        operation: &Value,
        description: &Value,
    ) -> Self {
        let mut path_parameters = parameters("path", operation, description);
        let segments = segments(path).map(|segment| {
            let name = segment
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'));
            match name {
                Some(name) => Segment::Parameter {
                    name: name.to_owned(),
                    schema: path_parameters
                        .remove(name)
                        .expect("a declared path parameter"),
                },
                None => Segment::Fixed,
            }
        });
        let body = operation.pointer("/requestBody/content/application~1json/schema");
        let id = operation["operationId"].as_str();
        let access = match id {
            Some(id) => access_to(id).expect("a declared access"),
            None => Access::Public,
        };
        Self {
            access,
            asks_the_primary: id.is_some_and(is_of_the_primary),
            method: method.to_uppercase().parse().expect("a method"),
            route: path.to_owned(),
            path: segments.collect(),
            query: parameters("query", operation, description),
            headers: parameters("header", operation, description),
            body: body.map(|schema| JsonSchema::compile(schema, description)),
        }
    }

    /// Whether it is served before the database is there, and not counted among the concurrent requests.
    pub(super) fn is_always_served(&self) -> bool {
        matches!(self.access, Access::Public | Access::Statistics)
    }
}

/// The schemas of an operation's parameters in the path or the query, by name.
fn parameters(
    location: &str,
    operation: &Value,
    description: &Value,
) -> BTreeMap<String, JsonSchema> {
    let declared = operation["parameters"].as_array().into_iter().flatten();
    declared
        .map(|parameter| resolve(parameter, description))
        .filter(|parameter| parameter["in"] == location)
        .filter_map(|parameter| {
            let schema = JsonSchema::compile(&parameter["schema"], description);
            Some((parameter["name"].as_str()?.to_owned(), schema))
        })
        .collect()
}

pub(super) fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}
