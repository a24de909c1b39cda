//! Parameters: those that every operation of a kind takes, and an example for each.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::operation::{self, Operation};
use crate::{
    http::NotIdempotent,
    write::{IdempotencyKey, MAX_KEY_LENGTH},
};

/// Examples of strings by the names of their parameters, of those whose type does not suggest one.
const EXAMPLES: [(&str, &str); 28] = [
    ("Idempotency-Key", "01a209f4-75f3-732d-93e6-33f6d14a14a3"),
    ("If-Match", "\"1-1\""),
    ("Last-Event-ID", "AwAAAAAAAAAAAAAAAAAAAAIABmEvmQ0g6Q"),
    ("If-None-Match", "\"1-1\""),
    ("action", "delete"),
    ("after", "latest"),
    ("against", "live"),
    ("circle", "release-team"),
    ("circle_name", "release-team"),
    ("circles", "review,support"),
    ("competency", "code review"),
    ("cursor", "MQ"),
    ("agent_external_id", "linus@directory"),
    (
        "digest",
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    ),
    ("ids", "1,2,3"),
    ("include", "participants,last_message"),
    ("label", "production"),
    ("message", "Shorter prompt"),
    ("mode", "chat"),
    ("name", "Ada"),
    ("owner", "platform-team"),
    ("q", "review"),
    ("resource", "agent"),
    ("skill", "review"),
    ("supports", "tools,vision"),
    ("since", "2026-11-23T09:00:00Z"),
    ("until", "2026-11-24T09:00:00Z"),
    ("within", "P90D"),
];

/// An argument that stands for several parameters is described as one object (see `http::parameters`).
/// Lists the object's fields as the parameters they are.
pub(super) fn expand(description: &mut Value) {
    let mut schemas = description["components"]["schemas"].take();
    let mut expanded = BTreeSet::new();
    operation::each(description, |operation| {
        let Some(parameters) = operation.parameters_mut() else {
            return;
        };
        for parameter in std::mem::take(parameters) {
            let reference = parameter["schema"]["$ref"].as_str();
            match reference.and_then(|reference| reference.rsplit_once('/')) {
                Some((_, name)) if schemas[name]["type"] == "object" => {
                    parameters.extend(fields_of(&schemas[name], &parameter));
                    expanded.insert(name.to_owned());
                }
                _ => parameters.push(parameter),
            }
        }
    });
    if let Some(schemas) = schemas.as_object_mut() {
        schemas.retain(|name, _| !expanded.contains(name));
    }
    description["components"]["schemas"] = schemas;
}

/// The fields of an object as parameters in the place of this one.
fn fields_of(object: &Value, parameter: &Value) -> Vec<Value> {
    let fields = object["properties"].as_object().into_iter().flatten();
    let parameters = fields.map(|(name, field)| {
        let mut schema = field.clone();
        let mut parameter = parameter.clone();
        parameter["name"] = name.as_str().into();
        parameter["description"] = schema["description"].take();
        if let Some(schema) = schema.as_object_mut() {
            schema.shift_remove("description");
        }
        parameter["schema"] = schema.pointer("/allOf/0").cloned().unwrap_or(schema);
        parameter
    });
    parameters.collect()
}

/// Every POST takes an idempotency key, except those whose responses can't be stored.
pub(super) fn offer_idempotency(operation: &mut Operation<'_>) {
    let stored = !NotIdempotent::OPERATIONS.contains(&operation.id.as_str());
    if operation.method == "post" && stored {
        operation.add_parameter(json!({
            "name": IdempotencyKey::HEADER,
            "in": "header",
            "description": "A name of the client's own for this request. Repeating the request with \
                the same key and body within 24 hours replays the stored response.",
            "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH, "pattern": "^[!-~]+$"},
        }));
    }
}

/// Every GET whose response has an `ETag` can be made conditional.
pub(super) fn offer_conditional_get(operation: &mut Operation<'_>) {
    let headers = operation
        .value
        .pointer("/responses/200/headers")
        .and_then(Value::as_object);
    let has_etag = headers.is_some_and(|headers| headers.contains_key("ETag"));
    if operation.method == "get" && has_etag {
        operation.add_parameter(json!({
            "name": "If-None-Match",
            "in": "header",
            "description": "An `ETag` that the client has: answers 304 if it still names the current state.",
            "schema": {"type": "string"},
        }));
    }
}

/// Gives every parameter an example.
pub(super) fn add_examples(operation: &mut Operation<'_>, schemas: &Value) {
    let parameters = operation.parameters_mut();
    for parameter in parameters.into_iter().flatten() {
        if let Some(example) = example(parameter, schemas) {
            parameter["example"] = example;
        }
    }
}

fn example(parameter: &Value, schemas: &Value) -> Option<Value> {
    let schema = &parameter["schema"];
    if let Some((_, name)) = schema["$ref"]
        .as_str()
        .and_then(|name| name.rsplit_once('/'))
    {
        return schemas[name]["enum"].get(0).cloned();
    }
    let name = parameter["name"].as_str()?;
    let text = EXAMPLES.iter().find(|(known, _)| *known == name);
    if let Some((_, text)) = text.filter(|_| schema["type"] == "string") {
        return Some((*text).into());
    }
    Some(
        match (schema["type"].as_str()?, schema["format"].as_str()) {
            ("boolean", _) => true.into(),
            ("integer", _) if name == "limit" => 20.into(),
            ("integer", _) => 1.into(),
            (_, Some("date-time")) => "2026-11-23T09:00:00Z".into(),
            _ => return None,
        },
    )
}

/// The name of a parameter that operations share: `AgentId` for that of `/v1/agents/{id}`, and
/// `CircleName` for that of `/v1/circles/{circle_name}`.
pub(super) fn shared_name(path: &str, parameter: &Value) -> Option<String> {
    let name = parameter["name"].as_str()?;
    let of = if parameter["in"] == "path" {
        let (before, _) = path.split_once(&format!("/{{{name}}}"))?;
        let (_, resource) = before.rsplit_once('/')?;
        let resource = resource.trim_end_matches('s');
        if name.starts_with(resource) {
            ""
        } else {
            resource
        }
    } else {
        ""
    };
    let words = [of].into_iter().chain(name.split(['-', '_']));
    Some(words.map(capitalized).collect())
}

fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(word.len().min(1));
    first.to_ascii_uppercase() + rest
}
