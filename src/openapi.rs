//! The description of the API: written by poem-openapi from the code, then finished here in one
//! pass, so that client generators take it as it is. What is finished is what is served, what is
//! committed as `openapi.json`, and what requests are held against.

use std::collections::BTreeSet;

use poem_openapi::{LicenseObject, OpenApi, OpenApiService};
use serde_json::{Map, Value, json};

use crate::{
    http::{DATABASE_DOWN, NotIdempotent, PROBLEM_MEDIA_TYPE},
    middleware::{Access, access_to},
    write::{IdempotencyKey, MAX_KEY_LENGTH},
};

/// An example of what each schema describes, by the schema's name. A test holds them against the
/// schemas.
const EXAMPLES: &str = include_str!("examples.json");

const INTRODUCTION: &str = "\
Keeps teams (\"circles\") of LLM agents: who is in which circle, in which role, with which prompt \
and skills, on which model of which provider. An agent runtime asks for a circle and builds a \
handle for every member from the one answer.

**Keys** are sent as `Authorization: Bearer crk_…`. Each operation says which scope it needs: `admin` \
includes `write` and `handles`, `write` includes `read`. Without a key that is good, the answer is 401 \
`unauthenticated`; with one that lacks the scope, 403 `forbidden`. While there are no keys, a service \
that only its own machine reaches needs none, and answers to no other host name (421 \
`host_not_allowed`) and to no page of another site (403 `origin_not_allowed`).

**Lists** come in pages in the order of their ids, or as `sort` says: `limit` sets the size, \
`next_cursor` of one page is the `cursor` of the next, `count=true` adds the `total`.

**Updates** are PATCH: an absent field stays as it is, `null` clears a field that may be null.

**States** have names: a single thing, and the roster of a circle, comes with a strong `ETag`. \
`If-None-Match` with it answers 304 while nothing has changed; `If-Match` on PATCH and DELETE makes \
the change only in that state, and answers 412 `outdated` else.

**Repeats** are safe where a POST carries an `Idempotency-Key` (1 to 255 visible ASCII characters): \
sent again within 24 hours, it is answered as before, with `Idempotency-Replayed: true`, and not \
done again. The same key with another body is refused with 422, and with 409 \
`idempotency_in_progress` while the first is still being served. Only what went well is kept.

**Errors** are `application/problem+json` (RFC 9457), all of one shape. `code` is for programs and \
never changes its meaning; `errors` points at the parts of the request that are at fault. Beside \
what each operation lists, any may answer 400 `malformed_json`, `duplicate_key` or \
`incomplete_body`, 413 `body_too_large` (over 1 MiB), 415 `unsupported_media_type`, 422 \
`invalid_request`, 500 `internal`, 503 `starting`, `database_unavailable`, `pool_exhausted` \
or `contended` (with `Retry-After`), and 507 `insufficient_storage`.

**Secrets** are not stored. A key of a known form is refused with 422 anywhere in a body, and so is \
a password in a URL; in free fields (`config`, `metadata`, `settings`, `permissions`, `tool_calls`) so \
is the value of a member named like a secret, unless it is a placeholder such as `${OPENAI_API_KEY}`. \
What only looks like a secret is stored, and the response lists up to ten places of it as JSON \
pointers: `Suspected-Secret: #/config/headers/0/x-id, #/metadata/note`.

**RateLimit** hold for each API key, and for each address that shows none, apart for reads and for \
writes: `RateLimit` and `RateLimit-Policy` tell where a caller stands. Beyond them the answer is 429 \
`rate_limited` with `Retry-After`, as it is after too many wrong keys from one address. Callers on \
the service's own machine that need no key have no limit.

**Every answer** carries `X-Request-Id`: the caller's own, or a new one.";

/// What a caller hears beside a problem that is of its own making: name, type and meaning.
const REFUSED_CALLER: [(&str, &str, &str); 4] = [
    (
        "WWW-Authenticate",
        "string",
        "What kind of key is needed (with status 401 and 403)",
    ),
    (
        "Retry-After",
        "integer",
        "Seconds to wait before trying again (with status 429)",
    ),
    (
        "RateLimit",
        "string",
        "How many more requests may be sent (r), and in how many seconds all may be again (t)",
    ),
    (
        "RateLimit-Policy",
        "string",
        "How many requests (q) may be sent in how many seconds (w)",
    ),
];

/// Gives the service its title page.
pub(crate) fn introduce<T>(service: OpenApiService<T, ()>) -> OpenApiService<T, ()> {
    service
        .description(INTRODUCTION)
        .license(LicenseObject::new("MIT OR Apache-2.0"))
}

/// The description in the forms it is needed in.
pub(crate) struct Documents {
    pub(crate) description: Value,
    /// As JSON, indented, with a line end.
    pub(crate) text: String,
    /// Inside Swagger UI, which needs nothing else from anywhere.
    pub(crate) html: String,
}

impl Documents {
    pub(crate) fn of<T: OpenApi>(service: &OpenApiService<T, ()>) -> Self {
        let raw = service.spec();
        let mut description: Value = serde_json::from_str(&raw).unwrap_or_default();
        finish(&mut description);
        let text = format!("{description:#}\n");
        let html = service.swagger_ui_html().replace(&raw, &text);
        Self {
            description,
            text,
            html,
        }
    }
}

fn finish(description: &mut Value) {
    description["openapi"] = "3.0.3".into();
    description["servers"] = json!([{"url": "/"}]);
    walk(description, &mut |node| {
        plain_media_types(node);
        collapse_reference(node);
        standard_format(node);
        whole_bounds(node);
        header_names(node);
        example_of_5xx(node);
        generic_names(node);
    });
    tags_in_order(description);
    ask_for_keys(description);
    offer_idempotency(description);
    let requests = request_schemas(description);
    let examples: Map<String, Value> = serde_json::from_str(EXAMPLES).unwrap_or_default();
    if let Some(schemas) = description["components"]["schemas"].as_object_mut() {
        for (name, schema) in schemas {
            if let Some(example) = examples.get(name) {
                schema["example"] = example.clone();
            }
            if requests.contains(name) {
                // Objects in requests take the fields they declare and no others.
                schema["additionalProperties"] = false.into();
            } else {
                require_nullable(schema);
            }
        }
    }
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
/// beside the reference.
fn collapse_reference(node: &mut Map<String, Value>) {
    if let Some(Value::Array(parts)) = node.get_mut("allOf") {
        parts.retain(|part| part.get("$ref").is_some());
        node.shift_remove("title");
    }
}

/// `uint32` and its like are no formats of OpenAPI, and a bound says it in their place; a
/// `naive-date` is what OpenAPI calls a `date`.
fn standard_format(node: &mut Map<String, Value>) {
    match node.get("format").and_then(Value::as_str) {
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

/// A problem's example is one of the client's making, which a 5XX is not.
fn example_of_5xx(node: &mut Map<String, Value>) {
    if let Some(content) = node.get_mut("5XX").and_then(|it| it.get_mut("content")) {
        content[PROBLEM_MEDIA_TYPE]["example"] = json!({
            "type": "about:blank",
            "title": "Service Unavailable",
            "status": 503,
            "detail": DATABASE_DOWN,
            "code": "database_unavailable",
            "request_id": "01a209f4-75f3-732d-93e6-33f6d14a14a3",
        });
    }
}

/// Header names as people write them; poem-openapi shouts them.
fn header_names(node: &mut Map<String, Value>) {
    if let Some(headers) = node.get_mut("headers").and_then(Value::as_object_mut) {
        *headers = std::mem::take(headers)
            .into_iter()
            .map(|(name, header)| (capitalized(&name), header))
            .collect();
    }
}

fn capitalized(name: &str) -> String {
    if name.eq_ignore_ascii_case("etag") {
        return "ETag".to_owned();
    }
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + &rest.to_ascii_lowercase()
    });
    words.collect::<Vec<_>>().join("-")
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

/// Says of every operation what it needs of its caller.
fn ask_for_keys(description: &mut Value) {
    description["components"]["securitySchemes"] = json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "crk_<id>_<secret>",
            "description": "The token of an API key. None is needed while there are no keys and the \
                service listens on this machine only.",
        }
    });
    let paths = description["paths"].as_object_mut().into_iter().flatten();
    let operations = paths.flat_map(|(_, item)| item.as_object_mut().into_iter().flatten());
    for (_, operation) in operations {
        let access = operation["operationId"].as_str().and_then(access_to);
        let Some(Access::Scope(scope)) = access else {
            continue;
        };
        let text = operation["description"].as_str().unwrap_or_default();
        operation["description"] = format!("{text}\n\nNeeds the scope `{scope}`.").into();
        operation["x-required-scope"] = scope.name().into();
        operation["security"] = json!([{"bearer": []}]);
        for (header, kind, says) in REFUSED_CALLER {
            operation["responses"]["4XX"]["headers"][header] = json!({
                "description": says,
                "required": false,
                "deprecated": false,
                "schema": {"type": kind},
            });
        }
    }
}

/// Every POST takes an idempotency key, but those whose answers can't be kept.
fn offer_idempotency(description: &mut Value) {
    let parameter = json!({
        "name": IdempotencyKey::HEADER,
        "in": "header",
        "required": false,
        "description": "A name of the caller's own for this request. Sent again with the same name \
            and body within 24 hours, it is answered again and not done again.",
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH, "pattern": "^[!-~]+$"},
    });
    let paths = description["paths"].as_object_mut().into_iter().flatten();
    for operation in paths.filter_map(|(_, item)| item.get_mut("post")) {
        if NotIdempotent::OPERATIONS
            .iter()
            .any(|id| operation["operationId"] == *id)
        {
            continue;
        }
        match operation["parameters"].as_array_mut() {
            Some(parameters) => parameters.push(parameter.clone()),
            None => operation["parameters"] = json!([parameter]),
        }
    }
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
fn references(value: &mut Value) -> Vec<String> {
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
