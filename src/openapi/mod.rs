//! The description of the API: poem-openapi writes it from the code, and this folder finishes it, so that
//! client generators read it as it is. The result is served, is committed as `openapi.json`, and is what
//! requests are checked against.
//!
//! Start with `finish` below. This folder may import `middleware`, `http` and what is below them.

mod document;
mod json_schema;
mod operation;
mod parameters;
mod pretty;
mod responses;
mod schemas;
mod shared;

use poem_openapi::{ContactObject, LicenseObject, OpenApiService};
use serde_json::{Map, Value, json};

pub(crate) use document::{Document, Documents};
pub(crate) use json_schema::{describe, json_schema};

const INTRODUCTION: &str = include_str!("introduction.md");

/// Gives the service its title page.
pub(crate) fn introduce<T>(service: OpenApiService<T, ()>) -> OpenApiService<T, ()> {
    service
        .description(INTRODUCTION.trim_end())
        .contact(ContactObject::new().name("The maintainers of circle-registry"))
        .license(LicenseObject::new("MIT OR Apache-2.0").url("https://spdx.org/licenses/"))
}

fn finish(description: &mut Value) {
    description["openapi"] = "3.0.3".into();
    describe_service(description);
    parameters::expand(description);
    schemas::finish(description);
    tags_in_order(description);
    let schemas = description["components"]["schemas"].clone();
    operation::each(description, |operation| {
        operation.require_scope();
        parameters::offer_idempotency(operation);
        parameters::offer_conditional_get(operation);
        parameters::add_examples(operation, &schemas);
        responses::declare(operation);
    });
    responses::add_components(description);
    shared::share(description);
}

/// The server is that of the default settings: tools that are given a file need an address.
fn describe_service(description: &mut Value) {
    let server = "The default address, on the same machine";
    description["servers"] = json!([{"url": "http://127.0.0.1:8000", "description": server}]);
    description["components"]["securitySchemes"] = json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "crk_<id>_<secret>",
            "description": "The token of an API key. None is needed while no keys exist and the service \
                listens on this machine only.",
        }
    });
}

fn walk(value: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(node) => {
            visit(node);
            node.values_mut().for_each(|child| walk(child, visit));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, visit)),
        _ => {}
    }
}

/// Tags in the order of the paths, the most asked for first; poem-openapi sorts them by name.
fn tags_in_order(description: &mut Value) {
    let paths = description["paths"].as_object().into_iter().flatten();
    let used: Vec<Value> = paths
        .flat_map(|(_, item)| item.as_object().into_iter().flatten())
        .map(|(_, operation)| operation["tags"][0].clone())
        .collect();
    let place = |tag: &Value| used.iter().position(|used| *used == tag["name"]);
    if let Some(tags) = description["tags"].as_array_mut() {
        tags.sort_by_key(place);
    }
}
