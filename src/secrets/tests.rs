//! Samples of today's keys and of what is none, and the search as a whole.

mod innocuous;
mod keys;
mod samples;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;

/// A key that opens nothing, put together so that no scanner takes it for one.
fn key() -> String {
    ["sk-", "ant-api03-Zq3vT9xKpL2mWc8RnY5bJd7HfGs1AeUi"].concat()
}

fn refused(body: &Value) -> Vec<String> {
    let found = look_through(body).refused;
    let pointers = found.listed().iter();
    pointers.map(|error| error.pointer.clone()).collect()
}

fn suspected(body: &Value) -> Vec<String> {
    let found = look_through(body);
    assert_eq!(found.refused.listed(), [], "{body}");
    found.suspected
}

#[test]
fn a_key_is_found_wherever_it_stands_and_not_repeated() {
    let key = key();
    let body = json!({
        "name": key,
        "system_prompt": format!("Use the key {key} for all of it."),
        "api_key_env": key,
        "config": {"headers": [{"x-api-key": key}, "fine"], "curl": format!("-H 'x: {key}'")},
        "operations": [{"op": "add", "permissions": {"a/b": {"deep": key}}}],
        "metadata": {(&key): 1},
        "settings": {"instructions": "Be kind, be brief."},
    });
    let found = look_through(&body);
    let pointers: Vec<&str> = found
        .refused
        .listed()
        .iter()
        .map(|error| &*error.pointer)
        .collect();
    assert_eq!(
        pointers,
        [
            "#/name",
            "#/system_prompt",
            "#/api_key_env",
            "#/config/headers/0/x-api-key",
            "#/config/curl",
            "#/operations/0/permissions/a~1b/deep",
            "#/metadata",
        ]
    );
    for error in found.refused.listed() {
        assert!(error.detail.contains("Anthropic API key"), "{error}");
        assert!(error.detail.contains("api_key_env"), "{error}");
    }
    assert!(!format!("{found:?}").contains(&key));
}

#[test]
fn a_secret_is_found_by_its_name() {
    for (config, pointer) in [
        (json!({"password": "hunter2"}), "#/config/password"),
        (json!({"a": [{"apiKey": "abc"}]}), "#/config/a/0/apiKey"),
        (json!({"api_keys": ["abc1"]}), "#/config/api_keys/0"),
        (
            json!([{"name": "Authorization", "value": "Bearer a1b2"}]),
            "#/config/0/value",
        ),
        (
            json!({"password": {"value": "hunter2"}}),
            "#/config/password/value",
        ),
        (
            json!({"args": ["--api-key", "abc", "-v"]}),
            "#/config/args/1",
        ),
        (
            json!({"args": ["-e", "API_KEY=q1w2!e3"]}),
            "#/config/args/1",
        ),
        (
            json!({"arguments": "{\"headers\": {\"Authorization\": \"Bearer a1b2\"}}"}),
            "#/config/arguments",
        ),
        (
            json!({"url": "https://x.example/?api_key=q1w2e3!"}),
            "#/config/url",
        ),
        (json!({"dsn": "postgres://u:p@h"}), "#/config/dsn"),
    ] {
        assert_eq!(refused(&json!({"config": config})), [pointer], "{config}");
    }
    let call = json!({"tool_calls": [{"headers": {"Authorization": "Bearer a1b2"}}]});
    assert_eq!(refused(&call), ["#/tool_calls/0/headers/Authorization"]);
    let provider = json!({"base_url": "https://x.example/v1?api_key=q1w2e3!"});
    assert_eq!(refused(&provider), ["#/base_url"]);
}

#[test]
fn names_mean_nothing_outside_the_free_fields_and_placeholders_nothing_in_them() {
    for body in [
        json!({"token": "abc1", "summary": "password: hunter2!x"}),
        json!({"config": {"api_key": "${OPENAI_API_KEY}", "password": "", "token": null}}),
        json!({"config": {"max_tokens": 4096, "token_limit": "100", "stop_tokens": ["</s>"]}}),
        json!({"config": {"args": ["--token", "--verbose"], "env": ["TOKEN=$TOKEN"]}}),
        json!({"config": {"schema": {"properties": {"password": {"type": "string"}}, "required": ["password"]}}}),
        json!({"permissions": {"secrets": "read", "token": "deny", "authorization": "required"}}),
        json!({"config": [{"name": "password", "value": "***"}, {"key": "token", "type": "secret"}]}),
    ] {
        assert_eq!(suspected(&body), [""; 0], "{body}");
    }
}

#[test]
fn what_only_looks_random_is_suspected() {
    const RANDOM: &str = "Zq3vT9xKpL2mWc8RnY5bJd7HfGs1AeUi";
    let body = json!({
        "name": RANDOM,
        "system_prompt": RANDOM,
        "metadata": {
            "note": format!("see {RANDOM}"),
            "sri": format!("sha384-{RANDOM}{RANDOM}"),
            "link": format!("https://docs.google.com/spreadsheets/d/{RANDOM}/edit"),
            "ssh": format!("ssh-ed25519 {RANDOM}{RANDOM} ada@example"),
            (RANDOM): {"a": 1},
        },
        "settings": {"password": "Ask the operator for it."},
    });
    assert_eq!(
        suspected(&body),
        ["#/metadata/note", "#/metadata", "#/settings/password"]
    );
    let many = json!({"config": vec![RANDOM; 50]});
    assert_eq!(suspected(&many).len(), MAX_SUSPECTED);
    let many = json!({"config": {"passwords": vec!["hunter2"; 500]}});
    assert_eq!(refused(&many).len(), FieldErrors::MAX_LISTED);
    // The name of a variable is not random.
    assert_eq!(refused(&json!({"api_key_env": RANDOM})), ["#/api_key_env"]);
}

/// Bodies that keep the search as busy as they can; optimised, it takes less than 50 ms for 1 MiB.
#[test]
fn the_search_takes_time_in_proportion_to_the_body() {
    // Tests are compiled without optimisation and run beside others.
    const LENGTH: usize = 1 << 17;
    const LIMIT: Duration = Duration::from_secs(3);
    let text = |part: &str| Value::from(part.repeat(LENGTH / part.len()));
    let list = |part: &str| Value::from(vec![part; LENGTH / (part.len() + 3)]);
    for part in [
        "a",
        "a ",
        ".",
        "sk-",
        "sk- ",
        "sk-ant-",
        "eyJ.",
        "eyJaaaaaaaaaaaa.",
        "://",
        "https://a:b@",
        "https://a?b=c&",
        "Zq3v",
        "AAAA.",
        "-----BEGIN ",
        "a=b;",
        "{",
        "[\"",
        "M.a.",
        "x\\n",
        "ä ",
        "token=",
        "000000000000000000000000.",
        "https://",
        "sha256-",
        "ssh-a ",
        "12345678:AA",
    ] {
        for value in [text(part), list(part)] {
            let body = json!({"config": {"token_type": value}});
            let started = Instant::now();
            let _ = look_through(&body);
            let took = started.elapsed();
            assert!(took < LIMIT, "{part:?} took {took:?}");
        }
    }
}
