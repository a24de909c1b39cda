//! The OpenAPI description is complete and true.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

const COMMITTED: &str = include_str!("../../../openapi.json");

pub(super) fn committed() -> Value {
    serde_json::from_str(COMMITTED).expect("JSON")
}

/// Every operation with its path and method.
pub(super) fn operations(description: &Value) -> Vec<(String, &Value)> {
    let paths = description["paths"].as_object().expect("paths");
    paths
        .iter()
        .flat_map(|(path, item)| {
            let item = item.as_object().expect("an item");
            item.iter()
                .map(move |(method, operation)| (format!("{method} {path}"), operation))
        })
        .collect()
}

#[test]
fn every_operation_is_described_for_people_and_for_generators() {
    let description = committed();
    let mut ids = Vec::new();
    for (name, operation) in operations(&description) {
        let id = operation["operationId"].as_str().unwrap_or_default();
        let verb = id.split('_').next().unwrap_or_default();
        let verbs = [
            "list", "create", "get", "update", "delete", "start", "stop", "add", "remove", "lint",
            "restore", "batch", "replace", "revoke", "repoint", "diff", "plan", "apply", "stream",
            "export", "resume", "rotate", "test",
        ];
        assert!(verbs.contains(&verb), "{name}: {id}");
        ids.push(id);
        assert_eq!(
            operation["tags"].as_array().map(Vec::len),
            Some(1),
            "{name}"
        );
        for field in ["summary", "description"] {
            assert!(
                operation[field].as_str().is_some_and(|text| text.len() > 3),
                "{name}: {field}"
            );
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = resolved(&description, parameter);
            let of = format!("{name}: {}", parameter["name"]);
            assert!(parameter["description"].is_string(), "{of}");
            conforms(
                &description,
                &parameter["schema"],
                &parameter["example"],
                &of,
            );
        }
        let responses = operation["responses"].as_object().expect("responses");
        for (status, response) in responses {
            let response = resolved(&description, response);
            assert!(
                response["description"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{name}: {status}"
            );
            for (media_type, content) in response["content"].as_object().into_iter().flatten() {
                let problem = content["schema"]["$ref"] == "#/components/schemas/Problem";
                let expected = if problem {
                    "application/problem+json"
                } else {
                    "application/json"
                };
                let of_others = [
                    "get_transcript",
                    "get_metrics",
                    "stream_events",
                    "export_circle",
                ];
                let is_text = of_others.contains(&id);
                if !is_text || problem {
                    assert_eq!(media_type, expected, "{name}: {status}");
                }
            }
        }
        for status in ["422", "500", "default"] {
            assert!(responses.contains_key(status), "{name}: {status}");
        }
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "operation ids are unique");
}

/// The component that a reference refers to.
pub(super) fn resolved<'d>(description: &'d Value, node: &'d Value) -> &'d Value {
    node["$ref"].as_str().map_or(node, |reference| {
        let target = description.pointer(reference.trim_start_matches('#'));
        target.expect(reference)
    })
}

/// Whether a schema is that of a request, by its name. Some are in responses, too.
fn is_request(name: &str) -> bool {
    let kinds = ["Create", "Update", "Batch", "Operation", "Set"];
    kinds.iter().any(|kind| name.ends_with(kind))
        || ["ModelParams", "PriceTier", "Tool", "Usage", "Document"].contains(&name)
        || ["Model", "Agent", "Circle", "Member"]
            .iter()
            .any(|part| format!("Document{part}") == name)
}

#[test]
fn the_description_stays_small() {
    // 240 KB were set when there were 58 operations and some 410 fields.
    let operations = COMMITTED.matches("\"operationId\"").count();
    let description = committed();
    let schemas = description["components"]["schemas"].as_object();
    let fields = schemas.expect("schemas").values();
    let fields: usize = fields
        .filter_map(|schema| schema["properties"].as_object())
        .map(Map::len)
        .sum();
    let most = 2_600 * operations + 220 * fields;
    assert!(
        COMMITTED.len() < most,
        "{} bytes, {operations} operations, {fields} fields",
        COMMITTED.len()
    );
}

#[test]
fn every_schema_and_field_is_described_and_requests_are_closed() {
    let description = committed();
    let schemas = description["components"]["schemas"]
        .as_object()
        .expect("schemas");
    for (name, schema) in schemas {
        assert!(
            schema["description"].is_string() || schema["enum"].is_array(),
            "{name}"
        );
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            assert!(property["description"].is_string(), "{name}.{field}");
        }
        assert_eq!(
            schema["additionalProperties"] == false,
            is_request(name),
            "{name}"
        );
    }
}

#[test]
fn every_object_has_an_example_that_is_true_to_it() {
    let description = committed();
    let schemas = description["components"]["schemas"]
        .as_object()
        .expect("schemas");
    for (name, schema) in schemas {
        let made_of_others = name.ends_with("Page")
            || [
                "AgentCircle",
                "FieldProblem",
                "RosterMember",
                "Capabilities",
                "Provenance",
                "PromptPart",
                "ParticipantList",
                "MemberResult",
                "MemberFailure",
                "Attributes",
                "Fallback",
                "HandleServer",
                "HandleTool",
                "Omitted",
            ]
            .contains(&name.as_str());
        if schema["type"] == "object" && !made_of_others {
            assert!(schema["example"].is_object(), "{name} has no example");
            conforms(&description, schema, &schema["example"], name);
        }
    }
}

#[test]
fn every_error_has_an_example_of_its_status() {
    let description = committed();
    let problem = &description["components"]["schemas"]["Problem"];
    let responses = description["components"]["responses"].as_object();
    let mut found = BTreeSet::new();
    for (name, response) in responses.expect("responses") {
        if let Some(media) = response["content"].get("application/problem+json") {
            let example = &media["example"];
            if name != "Problem" {
                conforms(&description, problem, example, name);
                assert!(found.insert(example["status"].as_u64()), "{name}");
            }
        }
    }
    for (name, operation) in operations(&description) {
        for (status, response) in operation["responses"].as_object().expect("responses") {
            let response = resolved(&description, response);
            let example = &response["content"]["application/problem+json"]["example"];
            if !example.is_null() {
                assert_eq!(example["status"].to_string(), *status, "{name}");
            }
        }
    }
    assert_eq!(found.len(), 18);
}

#[test]
fn every_field_of_a_request_has_a_bound() {
    let description = committed();
    let schemas = description["components"]["schemas"]
        .as_object()
        .expect("schemas");
    for (name, schema) in schemas {
        if !is_request(name) {
            continue;
        }
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            let bounded = match property["type"].as_str() {
                Some("string") => {
                    property["maxLength"].is_u64()
                        || property["pattern"].is_string()
                        || property["format"] == "date"
                        || property["format"] == "date-time"
                }
                Some("integer") => property["minimum"].is_i64(),
                Some("number") => {
                    property["minimum"].is_number() && property["maximum"].is_number()
                }
                Some("array") => property["maxItems"].is_u64(),
                _ => true,
            };
            assert!(bounded, "{name}.{field}: {property}");
        }
    }
}

/// openapi-python-client drops a schema with such a property, and all operations that use it.
#[test]
fn no_reference_has_an_object_as_its_default() {
    let description = committed();
    let schemas = description["components"]["schemas"]
        .as_object()
        .expect("schemas");
    for (name, schema) in schemas {
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            let refers = property["allOf"].is_array();
            assert!(
                !(refers && property["default"].is_object()),
                "{name}.{field}"
            );
        }
    }
}

/// Checks a JSON value against a schema of the description: no unknown field, no missing field, and
/// every field of its type.
pub(super) fn conforms(description: &Value, schema: &Value, value: &Value, at: &str) {
    if value.is_null() {
        let nullable = schema["nullable"] == true || schema["oneOf"][1]["nullable"] == true;
        assert!(nullable, "{at} is null");
        return;
    }
    let one = ["allOf", "oneOf"].into_iter().map(|key| &schema[key][0]);
    if let Some(one) = one.chain([schema]).find(|one| one["$ref"].is_string()) {
        return conforms(description, resolved(description, one), value, at);
    }
    if let Some(choices) = schema["enum"].as_array() {
        assert!(choices.contains(value), "{at}: {value}");
    }
    match schema["type"].as_str() {
        Some("object") => object_conforms(description, schema, value.as_object().expect(at), at),
        Some("array") => {
            for item in value.as_array().expect(at) {
                conforms(description, &schema["items"], item, at);
            }
        }
        Some("string") => assert!(value.is_string(), "{at}: {value}"),
        Some("integer") => assert!(value.is_i64() || value.is_u64(), "{at}: {value}"),
        Some("number") => assert!(value.is_number(), "{at}: {value}"),
        Some("boolean") => assert!(value.is_boolean(), "{at}: {value}"),
        _ => {}
    }
    if schema["format"] == "date-time" {
        let text = value.as_str().expect(at);
        assert!(
            text.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(text).is_ok(),
            "{at}: {text}"
        );
    }
}

fn object_conforms(description: &Value, schema: &Value, members: &Map<String, Value>, at: &str) {
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().expect("a name");
        assert!(members.contains_key(name), "{at} lacks {name}");
    }
    for (name, value) in members {
        match schema["properties"].get(name) {
            Some(property) => conforms(description, property, value, &format!("{at}.{name}")),
            None => assert!(
                schema["additionalProperties"].is_object(),
                "{at}.{name} is not declared"
            ),
        }
    }
}
