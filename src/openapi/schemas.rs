//! Schemas: poem-openapi's, in the forms that client generators read.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::walk;
use crate::middleware::MAX_NAME_LENGTH;

/// Examples by the names of the schemas, beside the types they are of. A test holds them against the
/// schemas.
const EXAMPLES: [&str; 18] = [
    include_str!("../agents/examples.json"),
    include_str!("../audit/examples.json"),
    include_str!("../changes/examples.json"),
    include_str!("../circles/examples.json"),
    include_str!("../conversations/examples.json"),
    include_str!("../conversations/messages/examples.json"),
    include_str!("../documents/examples.json"),
    include_str!("../exports/examples.json"),
    include_str!("../handles/examples.json"),
    include_str!("../health.examples.json"),
    include_str!("../http/examples.json"),
    include_str!("../keys/examples.json"),
    include_str!("../mcp_servers/examples.json"),
    include_str!("../members/examples.json"),
    include_str!("../models/examples.json"),
    include_str!("../providers/examples.json"),
    include_str!("../releases/examples.json"),
    include_str!("../webhooks/examples.json"),
];

/// Brings every schema, and everything of the kind that is written inline, to its final form.
pub(super) fn finish(description: &mut Value) {
    walk(description, &mut |node| {
        plain_media_types(node);
        collapse_reference(node);
        standard_format(node);
        whole_bounds(node);
        generic_names(node);
        value_names(node);
        drop_defaults(node);
    });
    let requests = request_schemas(description);
    let examples = EXAMPLES.map(serde_json::from_str::<Map<String, Value>>);
    let examples: Map<_, _> = examples.into_iter().flatten().flatten().collect();
    let schemas = &mut description["components"]["schemas"];
    for (name, schema) in schemas.as_object_mut().into_iter().flatten() {
        if let Some(example) = examples.get(name) {
            schema["example"] = example.clone();
        }
        if requests.contains(name) {
            // Objects in requests take the fields they declare and no others.
            schema["additionalProperties"] = false.into();
            walk(schema, &mut bound_names);
        } else {
            require_nullable(schema);
        }
    }
    walk(schemas, &mut nullable_reference);
}

/// Says how long the names in free JSON may be, for which OpenAPI 3.0 has no keyword.
fn bound_names(node: &mut Map<String, Value>) {
    if node
        .get("additionalProperties")
        .is_some_and(|others| *others == json!({}))
    {
        let described = node.get("description").and_then(Value::as_str);
        let described = described.map_or_else(String::new, |text| format!("{text} "));
        let bound =
            format!("{described}Names have at most {MAX_NAME_LENGTH} characters, at any depth.");
        node.insert("description".to_owned(), bound.into());
    }
}

/// A media type is the key that generators look for, so it has no parameters.
fn plain_media_types(node: &mut Map<String, Value>) {
    if let Some(content) = node.get_mut("content").and_then(Value::as_object_mut) {
        *content = std::mem::take(content)
            .into_iter()
            .map(|(name, media)| match name.split_once(';') {
                Some((essence, _)) => (essence.to_owned(), media),
                None => (name, media),
            })
            .collect();
    }
}

/// A reference with something said about it is written by poem-openapi as two schemas of which the
/// second says nothing about the type; some generators drop such a property. What is said stays
/// beside the reference, except an object as the default, with which some drop the whole schema.
fn collapse_reference(node: &mut Map<String, Value>) {
    if let Some(Value::Array(parts)) = node.get_mut("allOf") {
        parts.retain(|part| part.get("$ref").is_some());
        node.shift_remove("title");
        if node.get("default").is_some_and(Value::is_object) {
            node.shift_remove("default");
        }
    }
}

/// `uint32` and its like are no formats of OpenAPI, and a bound replaces them. A `naive-date` is what
/// OpenAPI calls a `date`. A `decimal` is a string, which a generator that knows the format makes a float.
fn standard_format(node: &mut Map<String, Value>) {
    match node.get("format").and_then(Value::as_str) {
        Some("decimal") => {
            node.shift_remove("format");
        }
        Some("naive-date") => {
            node.insert("format".to_owned(), "date".into());
        }
        Some(format) if format.starts_with("uint") => {
            node.insert("format".to_owned(), "int64".into());
            node.entry("minimum").or_insert_with(|| 0.into());
        }
        _ => {}
    }
}

/// Bounds of integers are integers.
fn whole_bounds(node: &mut Map<String, Value>) {
    if node.get("type").and_then(Value::as_str) != Some("integer") {
        return;
    }
    for key in ["minimum", "maximum"] {
        if let Some(bound) = node.get_mut(key)
            && let Some(whole) = whole(bound)
        {
            *bound = whole;
        }
    }
}

fn whole(bound: &Value) -> Option<Value> {
    let text = format!("{:.0}", bound.as_f64()?);
    text.parse::<i64>().ok().map(Value::from)
}

/// A page of agents is an `AgentPage`; poem-openapi writes `PageBody_Agent`.
fn generic_names(node: &mut Map<String, Value>) {
    for key in ["$ref", "title"] {
        if let Some(Value::String(name)) = node.get_mut(key)
            && let Some(plain) = plain_name(name)
        {
            *name = plain;
        }
    }
    if node.keys().any(|name| plain_name(name).is_some()) {
        *node = std::mem::take(node)
            .into_iter()
            .map(|(name, schema)| (plain_name(&name).unwrap_or(name), schema))
            .collect();
    }
}

fn plain_name(name: &str) -> Option<String> {
    const GENERICS: [(&str, &str); 2] = [("PageBody_", "Page"), ("Items_", "List")];
    GENERICS.iter().find_map(|(generic, kind)| {
        let (before, row) = name.split_once(generic)?;
        Some(format!("{before}{row}{kind}"))
    })
}

/// A field of an answer that may be null is always there.
fn require_nullable(schema: &mut Value) {
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    let declared = schema["required"].as_array().cloned().unwrap_or_default();
    let required: Vec<Value> = properties
        .iter()
        .filter(|(name, property)| {
            property["nullable"] == true || declared.iter().any(|declared| declared == *name)
        })
        .map(|(name, _)| name.as_str().into())
        .collect();
    schema["required"] = required.into();
}

/// The names of the objects that are sent, by themselves or inside others.
fn request_schemas(description: &mut Value) -> BTreeSet<String> {
    let mut found = Vec::new();
    walk(&mut description["paths"], &mut |node| {
        if let Some(body) = node.get_mut("requestBody") {
            found.extend(references(body));
        }
    });
    let schemas = &mut description["components"]["schemas"];
    let mut names = BTreeSet::new();
    while let Some(name) = found.pop() {
        let schema = &mut schemas[&name];
        if schema["type"] == "object" && !names.contains(&name) {
            found.extend(references(schema));
            names.insert(name);
        }
    }
    names
}

/// The names of the schemas that are referred to from here.
pub(super) fn references(value: &mut Value) -> Vec<String> {
    let mut names = Vec::new();
    walk(value, &mut |node| {
        if let Some(reference) = node.get("$ref").and_then(Value::as_str)
            && let Some((_, name)) = reference.rsplit_once('/')
        {
            names.push(name.to_owned());
        }
    });
    names
}

/// A reference that may be null. With `type` and `nullable` beside the reference some generators drop
/// the null, and without `type` the bare `nullable` is not valid. This all of them read, whatever the
/// type is that has null as its one value; with `string` one of them writes code that does not compile.
fn nullable_reference(node: &mut Map<String, Value>) {
    if node.get("nullable") == Some(&Value::Bool(true))
        && let Some(Value::Array(mut choices)) = node.remove("allOf")
    {
        choices.push(json!({"type": "boolean", "nullable": true, "enum": [null]}));
        node.remove("nullable");
        node.insert("oneOf".to_owned(), choices.into());
    }
}

/// Names for the values of an enum that are no identifiers: `-name` is `NAME_DESCENDING`.
fn value_names(node: &mut Map<String, Value>) {
    let values = node
        .get("enum")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let values: Vec<&str> = values.filter_map(Value::as_str).collect();
    if values.iter().any(|value| value.starts_with('-')) {
        let names = values.iter().map(|value| match value.strip_prefix('-') {
            Some(value) => format!("{}_DESCENDING", value.to_ascii_uppercase()),
            None => value.to_ascii_uppercase(),
        });
        let names: Vec<Value> = names.map(Value::from).collect();
        node.insert("x-enum-varnames".to_owned(), names.into());
    }
}

/// Drops what is the default, and titles that repeat the name.
fn drop_defaults(node: &mut Map<String, Value>) {
    for key in ["required", "deprecated"] {
        if node.get(key) == Some(&Value::Bool(false)) {
            node.shift_remove(key);
        }
    }
    if node.contains_key("in") && node.get("explode") == Some(&Value::Bool(true)) {
        node.shift_remove("explode");
    }
    if node.contains_key("properties") {
        node.shift_remove("title");
    }
}
