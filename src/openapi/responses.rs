//! The responses of each operation. What follows from the operation itself is derived from it; why
//! a change may conflict is the business of each resource, and stands in a table.

use std::collections::BTreeSet;

use poem::http::StatusCode;
use serde_json::{Map, Value, json};

use super::operation::Operation;
use crate::{
    http::{ERROR_CODES, PROBLEM_MEDIA_TYPE},
    middleware::is_of_the_primary,
    write::IdempotencyKey,
};

/// The codes of 409 that an operation responds with, besides `idempotency_in_progress`.
#[rustfmt::skip]
const CONFLICTS: &[(&str, &[&str])] = &[
    ("export_document", &["agent_name_ambiguous"]),
    ("apply_documents", &["plan_changed", "model_in_use", "provider_in_use", "mcp_server_in_use"]),
    ("create_circle", &["circle_name_taken"]),
    ("update_circle", &["circle_name_taken"]),
    ("restore_circle", &["circle_name_taken", "not_deleted"]),
    ("add_member", &["member_exists", "circle_full"]),
    ("replace_members", &["circle_full"]),
    ("batch_members", &["batch_failed"]),
    ("export_circle", &["agent_name_ambiguous"]),
    ("create_release", &["too_many_labels"]),
    ("delete_release", &["release_labelled"]),
    ("replace_label", &["too_many_labels"]),
    ("create_agent", &["external_id_taken"]),
    ("update_agent", &["external_id_taken"]),
    ("restore_agent", &["not_deleted", "circle_full", "external_id_taken", "memberships_ending"]),
    ("restore_agent_version", &["reference_gone", "external_id_taken"]),
    ("get_agent_handle", &["reference_gone"]),
    ("create_model", &["model_name_taken"]),
    ("update_model", &["model_name_taken"]),
    ("delete_model", &["model_in_use"]),
    ("create_mcp_server", &["mcp_server_name_taken"]),
    ("update_mcp_server", &["mcp_server_name_taken"]),
    ("delete_mcp_server", &["mcp_server_in_use"]),
    ("create_webhook", &["too_many_webhooks"]),
    ("create_provider", &["provider_name_taken"]),
    ("update_provider", &["provider_name_taken"]),
    ("delete_provider", &["provider_in_use", "model_in_use"]),
    ("add_participant", &["participant_exists"]),
    ("create_message", &["conversation_not_active", "no_turns_left", "not_its_turn"]),
];

/// The shared responses without success: status, name, meaning, and the headers of their own.
#[rustfmt::skip]
const SHARED: &[(&str, &str, &str, &[&str])] = &[
    ("304", "NotModified", "Nothing has changed since the state that `If-None-Match` names", &["ETag"]),
    ("400", "BadRequest", "The body or a header field can't be read", &[]),
    ("401", "Unauthorized", "The API key is missing or not valid", &["WWW-Authenticate"]),
    ("403", "Forbidden", "The caller may not do this", &["WWW-Authenticate"]),
    ("404", "NotFound", "The resource does not exist", &[]),
    ("408", "RequestTimeout", "The body arrived too slowly", &[]),
    ("409", "Conflict", "The request conflicts with what is stored", &[]),
    ("410", "Gone", "The changes after the cursor are no longer all there", &[]),
    ("412", "PreconditionFailed", "The resource is not in the state that `If-Match` or `If-None-Match` asks for", &[]),
    ("413", "ContentTooLarge", "The body is too large", &[]),
    ("415", "UnsupportedMediaType", "The body is not sent as JSON, or is compressed", &[]),
    ("421", "MisdirectedRequest", "The request is for another host name", &[]),
    ("422", "UnprocessableContent", "Parts of the request are not valid", &[]),
    ("429", "TooManyRequests", "The rate limit is exceeded", &["Retry-After"]),
    ("431", "TooManyHeaderFields", "The request has too many header fields", &[]),
    ("500", "InternalServerError", "An internal error occurred", &[]),
    ("503", "ServiceUnavailable", "The service can't serve the request now", &["Retry-After"]),
    ("504", "GatewayTimeout", "The database did not respond in time", &[]),
    ("507", "InsufficientStorage", "The database is out of space", &[]),
    ("default", "Problem", "A status that this build does not use", &[]),
];

/// The headers of responses: name, type and meaning.
#[rustfmt::skip]
const HEADERS: &[(&str, &str, &str)] = &[
    ("Cache-Control", "string", "How long the response may be cached: it never changes."),
    ("Database-Position", "string", "Where the log of the database ended then: a read that sends it sees the change on any replica. Only with replicas."),
    ("ETag", "string", "The current state of the resource, for `If-Match` and `If-None-Match`."),
    ("Idempotency-Replayed", "string", "`true` if the response is the replay of a stored one."),
    ("Location", "string", "The path of the new resource."),
    ("RateLimit", "string", "The requests left (`r`), and the seconds until all are available again (`t`)."),
    ("RateLimit-Policy", "string", "The requests (`q`) that are allowed per window of seconds (`w`)."),
    ("Retry-After", "integer", "The seconds to wait before retrying."),
    ("Suspected-Secret", "string", "Where what was stored may hold a secret: up to ten JSON pointers."),
    ("WWW-Authenticate", "string", "The kind of key that is needed (RFC 6750)."),
    ("X-Request-Id", "string", "The id of the request: its own `X-Request-Id`, or a new one."),
];

const RATE_LIMIT: [&str; 2] = ["RateLimit", "RateLimit-Policy"];

/// Declares an operation's responses: headers for those there are, and the statuses of failure.
pub(super) fn declare(operation: &mut Operation<'_>) {
    let statuses = statuses(operation);
    let replayable = operation.takes(IdempotencyKey::HEADER);
    let has_body = operation.value.get("requestBody").is_some();
    let tells_position = *operation.method != *"get" || is_of_the_primary(&operation.id);
    let Some(responses) = operation.value["responses"].as_object_mut() else {
        return;
    };
    responses.retain(|status, _| !status.ends_with("XX"));
    for (status, response) in responses.iter_mut() {
        describe_success(status, response);
        let own = response["headers"].as_object().cloned().unwrap_or_default();
        let names = own.keys().map(String::as_str);
        let names = names.chain(replayable.then_some("Idempotency-Replayed"));
        let names = names.chain(tells_position.then_some("Database-Position"));
        let names = names.chain(has_body.then_some("Suspected-Secret"));
        response["headers"] = header_references(operation.scoped, names);
    }
    for status in statuses {
        if let Some((_, name, ..)) = SHARED.iter().find(|(shared, ..)| *shared == status) {
            let reference = json!({"$ref": format!("#/components/responses/{name}")});
            responses.insert(status.to_owned(), reference);
        }
    }
}

/// The statuses of an operation beside those of success.
fn statuses(operation: &Operation<'_>) -> BTreeSet<&'static str> {
    let Operation {
        id,
        method,
        path,
        scoped,
        value,
    } = operation;
    let conflicts = CONFLICTS.iter().any(|(known, _)| known == id);
    let has_body = value.get("requestBody").is_some();
    let mut statuses = BTreeSet::from(["422", "431", "500", "default"]);
    for (applies, these) in [
        (*scoped, &["401", "403", "421", "429", "503", "504"][..]),
        (id == "get_readiness", &["503"]),
        (
            ["list_changes", "stream_events", "resume_webhook"].contains(&id.as_str()),
            &["404", "410"],
        ),
        (
            path.contains('{') || ["get_own_key", "export_document"].contains(&id.as_str()),
            &["404"],
        ),
        (has_body, &["400", "408", "413", "415"]),
        (
            conflicts || operation.takes(IdempotencyKey::HEADER),
            &["409"],
        ),
        (operation.takes("If-Match"), &["400", "412"]),
        (operation.takes("Last-Event-ID"), &["400"]),
        (
            *method == "get" && operation.takes("If-None-Match"),
            &["304"],
        ),
        (*method != "get", &["507"]),
    ] {
        if applies {
            statuses.extend(these);
        }
    }
    statuses
}

/// What the responses are whose schema is not simply named after a resource.
#[rustfmt::skip]
const TEXTS: &[(&str, &str)] = &[
    ("CircleFiles", "The circle as files"),
    ("AgentVersion", "The version, which never changes"),
    ("AgentVersionDiff", "What differs between the versions"),
    ("CircleHandles", "The handles of the circle's active members"),
    ("CreatedKey", "The new key with its token"),
    ("Change", "The stream of events; the `data` of an event `change` is this"),
    ("ChangePage", "A part of the feed"),
    ("Health", "The service is alive"),
    ("Lint", "What is wrong with the circle and its members"),
    ("MemberBatchResult", "The outcome of each operation"),
    ("MemberChanges", "The members that were added, restored, updated and removed"),
    ("ParticipantList", "All participants, in the order of their turns"),
    ("Pool", "The state of the connection pool"),
    ("ReadinessStatus", "The service is ready"),
    ("ReleaseDiff", "What differs"),
    ("Roster", "The circle with its members"),
    ("RosterCacheStatus", "The state of the cache"),
    ("WebhookTest", "How the receiver answered"),
    ("WebhookWithSecret", "The webhook with its new secret"),
];

/// Says what a response of success holds, by its schema. A text has none, and its type says what it is.
fn describe_success(status: &str, response: &mut Value) {
    let schema = schema_of(response).unwrap_or_default();
    let text = TEXTS.iter().find(|(known, _)| *known == schema);
    let words = schema.to_ascii_lowercase();
    let is_described = response["description"]
        .as_str()
        .is_some_and(|text| !text.is_empty());
    let text = match (text, status) {
        (Some((_, text)), _) => (*text).to_owned(),
        (None, "204") => "The change was made".to_owned(),
        (None, _) if schema.is_empty() && is_described => return,
        (None, _) if schema.is_empty() => "The text".to_owned(),
        (None, _) if schema.ends_with("Page") => "A page of the list".to_owned(),
        (None, "201") => format!("The new {words}"),
        (None, _) => format!("The {words} in its current state"),
    };
    response["description"] = text.into();
}

/// The name of a response's schema.
fn schema_of(response: &Value) -> Option<&str> {
    let media = response["content"].as_object()?.values().next()?;
    let (_, name) = media["schema"]["$ref"].as_str()?.rsplit_once('/')?;
    Some(name)
}

/// The name of a response of success that operations share.
pub(super) fn shared_name(status: &str, response: &Value) -> Option<String> {
    let has = |header| response["headers"].get(header).is_some();
    let suffix = match status {
        "201" => "Created",
        "200" if has("Idempotency-Replayed") => "Replayable",
        "200" if has("Suspected-Secret") => "Changed",
        "200" => "",
        _ => return Some("Done".to_owned()),
    };
    schema_of(response).map(|schema| format!("{schema}{suffix}"))
}

fn header_references<'a>(scoped: bool, names: impl Iterator<Item = &'a str>) -> Value {
    let rate_limit = RATE_LIMIT.into_iter().filter(|_| scoped);
    let reference = |name: &str| {
        let reference = json!({"$ref": format!("#/components/headers/{name}")});
        (name.to_owned(), reference)
    };
    let all = names.chain(rate_limit).chain(["X-Request-Id"]);
    all.map(reference).collect::<Map<_, _>>().into()
}

/// The components that the operations refer to.
pub(super) fn add_components(description: &mut Value) {
    let header = |(name, kind, text): &(&str, &str, &str)| {
        let mut header = json!({"description": text, "schema": {"type": kind}});
        if ["ETag", "Location", "X-Request-Id"].contains(name) {
            header["required"] = true.into();
        }
        ((*name).to_owned(), header)
    };
    let headers: Map<_, _> = HEADERS.iter().map(header).collect();
    let responses: Map<_, _> = SHARED.iter().map(shared_response).collect();
    description["components"]["headers"] = headers.into();
    description["components"]["responses"] = responses.into();
    publish_codes(&mut description["components"]["schemas"]["Problem"]);
}

fn shared_response((status, name, text, own): &(&str, &str, &str, &[&str])) -> (String, Value) {
    let limited = *status == "429";
    let headers = header_references(limited, own.iter().copied());
    let mut response = json!({"description": text, "headers": headers});
    if *status != "304" {
        let schema = json!({"$ref": "#/components/schemas/Problem"});
        let mut media = json!({"schema": schema});
        if let Some(example) = example(status) {
            media["example"] = example;
        }
        response["content"] = json!({PROBLEM_MEDIA_TYPE: media});
    }
    ((*name).to_owned(), response)
}

/// A problem of a status, with the first of its codes.
fn example(status: &str) -> Option<Value> {
    let status: u16 = status.parse().ok()?;
    let (code, _, meaning) = ERROR_CODES.iter().find(|(_, of, _)| *of == status)?;
    Some(json!({
        "type": "about:blank",
        "title": StatusCode::from_u16(status).ok()?.canonical_reason()?,
        "status": status,
        "detail": meaning,
        "code": code,
        "request_id": "01a209f4-75f3-732d-93e6-33f6d14a14a3",
    }))
}

/// A list that may grow: generators that make an `enum` a closed type would fail on a new code.
fn publish_codes(problem: &mut Value) {
    let code = &mut problem["properties"]["code"];
    let text = code["description"].as_str().unwrap_or_default();
    let rows = ERROR_CODES
        .iter()
        .map(|(code, status, meaning)| format!("| `{code}` | {status} | {meaning} |\n"));
    let table = format!(
        "| code | status | meaning |\n|---|---|---|\n{}",
        rows.collect::<String>()
    );
    code["description"] = format!("{text}\n\n{table}").into();
    let codes = ERROR_CODES.iter().map(|(code, ..)| Value::from(*code));
    code["x-extensible-enum"] = codes.collect::<Vec<_>>().into();
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The codes of a status that an operation's description names.
    fn named(operation: &Value, status: &str) -> Vec<String> {
        let text = operation["description"].as_str().unwrap_or_default();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let before = format!("{status} `");
        text.split(&before)
            .skip(1)
            .filter_map(|rest| rest.split_once('`'))
            .map(|(code, _)| code.to_owned())
            .collect()
    }

    #[test]
    fn the_conflicts_of_an_operation_are_those_its_description_names() {
        let description: Value =
            serde_json::from_str(&crate::routes::description()).expect("a description");
        let items = description["paths"].as_object().expect("paths").values();
        let operations = items.flat_map(|item| item.as_object().expect("an item").values());
        let mut found = 0;
        for operation in operations {
            let id = operation["operationId"].as_str().expect("an id");
            let declared = CONFLICTS.iter().find(|(known, _)| *known == id);
            let mut declared = declared.map_or(Vec::new(), |(_, codes)| codes.to_vec());
            let mut named = named(operation, "409");
            named.sort_unstable();
            declared.sort_unstable();
            assert_eq!(named, declared, "{id}");
            found += usize::from(!named.is_empty());
        }
        assert_eq!(found, CONFLICTS.len());
    }

    #[test]
    fn every_code_is_listed_once_with_a_declared_status() {
        for (index, (code, status, _)) in ERROR_CODES.iter().enumerate() {
            assert!(
                !ERROR_CODES[..index].iter().any(|(other, ..)| other == code),
                "{code}"
            );
            let status = status.to_string();
            assert!(
                status == "405" || SHARED.iter().any(|(shared, ..)| *shared == status),
                "{code}"
            );
        }
        for code in CONFLICTS.iter().flat_map(|(_, codes)| *codes) {
            let listed = ERROR_CODES
                .iter()
                .any(|(listed, status, _)| (listed, *status) == (code, 409));
            assert!(listed, "{code}");
        }
    }
}
