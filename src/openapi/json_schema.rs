//! The schema of one type apart from the description: as JSON Schema, for editors, and to check what is not sent by HTTP.

use poem_openapi::{registry::Registry, types::Type};
use serde_json::{Map, Value, json};

use super::{pretty::pretty, schemas, walk};

/// A description of nothing but this type, which is sent.
pub(crate) fn describe<T: Type>() -> Value {
    let mut registry = Registry::new();
    T::register(&mut registry);
    let reference = reference(&T::name());
    let mut description = json!({
        "paths": {"/": {"post": {"requestBody": {"$ref": reference}}}},
        "components": {"schemas": registry.schemas},
    });
    schemas::finish(&mut description);
    description
}

fn reference(name: &str) -> String {
    format!("#/components/schemas/{name}")
}

/// The type as JSON Schema (2020-12), with a line end.
pub(crate) fn json_schema<T: Type>(title: &str) -> String {
    let mut description = describe::<T>();
    let schemas = &mut description["components"]["schemas"];
    walk(schemas, &mut from_openapi);
    let mut schemas = schemas.as_object().cloned().unwrap_or_default();
    let root = schemas.shift_remove(&*T::name()).unwrap_or_default();
    let mut needed = Map::new();
    add_needed(&root, &schemas, &mut needed);
    needed.sort_keys();
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
    });
    for (keyword, value) in root.as_object().into_iter().flatten() {
        schema[keyword] = value.clone();
    }
    schema["$defs"] = needed.into();
    pretty(&schema)
}

/// OpenAPI 3.0 has keywords of its own for null and examples.
fn from_openapi(node: &mut Map<String, Value>) {
    if let Some(Value::String(target)) = node.get_mut("$ref") {
        *target = target.replace("#/components/schemas/", "#/$defs/");
    }
    node.shift_remove("example");
    let is_nullable = node.shift_remove("nullable") == Some(Value::Bool(true));
    match node.get_mut("type") {
        Some(kind @ Value::String(_)) if is_nullable => *kind = json!([kind.take(), "null"]),
        _ => {}
    }
    if let Some(Value::Array(choices)) = node.get_mut("enum")
        && is_nullable
        && !choices.contains(&Value::Null)
    {
        choices.push(Value::Null);
    }
}

/// Collects the schemas that are referred to from here.
fn add_needed(schema: &Value, all: &Map<String, Value>, needed: &mut Map<String, Value>) {
    let mut schema = schema.clone();
    for name in schemas::references(&mut schema) {
        if let Some(target) = all.get(&name)
            && needed.insert(name, target.clone()).is_none()
        {
            add_needed(target, all, needed);
        }
    }
}
