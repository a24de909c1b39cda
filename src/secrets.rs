//! Detects secrets in requests. Secrets are never stored: a provider's key is only ever the name of an
//! environment variable.
//!
//! People paste keys where they seem to fit. So every field that accepts free-form settings is
//! searched, and a value that looks like a key is refused with advice on where it belongs. A key is
//! recognised by a documented prefix, or as a long random mix of digits and letters in both cases.
//! Prose, digests, ids and model names do not match.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};
use serde_json::Value;

use crate::error::{FieldError, pointer_to};

/// The fields of a request that are searched, at any depth.
const SEARCHED_FIELDS: [&str; 5] = [
    "api_key_env",
    "config",
    "metadata",
    "permissions",
    "settings",
];

const ADVICE: &str = "looks like a secret, and secrets are not stored here: put it into an environment \
    variable, and that variable's name into the provider's api_key_env";

/// Collects an error for each secret in a request's body. It names the location, never the value.
pub(crate) fn check(body: &Value, pointer: &str, errors: &mut Vec<FieldError>) {
    match body {
        Value::Object(members) => {
            for (name, value) in members {
                let pointer = pointer_to(pointer, name);
                if SEARCHED_FIELDS.contains(&name.as_str()) {
                    check_field(value, &pointer, errors);
                } else {
                    check(value, &pointer, errors);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check(item, &format!("{pointer}/{index}"), errors);
            }
        }
        _ => {}
    }
}

fn check_field(value: &Value, pointer: &str, errors: &mut Vec<FieldError>) {
    match value {
        Value::String(text) if is_secret(text) => errors.push(refused(pointer, ADVICE.to_owned())),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check_field(item, &format!("{pointer}/{index}"), errors);
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                // The pointer to the member would repeat the secret.
                if is_secret(name) {
                    let detail = format!("has a member whose name {ADVICE}");
                    errors.push(refused(pointer, detail));
                } else {
                    check_field(value, &pointer_to(pointer, name), errors);
                }
            }
        }
        _ => {}
    }
}

fn refused(pointer: &str, detail: String) -> FieldError {
    FieldError {
        pointer: pointer.to_owned(),
        detail,
    }
}

/// Key formats that their issuers document for secret scanners.
static KNOWN_FORMATS: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new([
        r"\bAIza[0-9A-Za-z_-]{35}",
        r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
        r"\bcrk_[0-9]+_[0-9A-Za-z]{20,}",
        r"\bgh[opsur]_[0-9A-Za-z]{30,}",
        r"\bgithub_pat_[0-9A-Za-z_]{22,}",
        r"\bglpat-[0-9A-Za-z_-]{20,}",
        r"\b(?:gsk|hf|r8|fw|tgp_v1)_[0-9A-Za-z]{30,}",
        r"\b(?:nvapi|pplx|xai)-[0-9A-Za-z_-]{30,}",
        r"\b[rs]k_(?:live|test)_[0-9A-Za-z]{16,}",
        r"\bxox[a-z]-[0-9A-Za-z-]{10,}",
        r"\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}",
        r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    ])
    .expect("regular expressions")
});

/// Keys of OpenAI, Anthropic and others with the same prefix. Words can follow `sk-` too, but few
/// contain digits.
static SK_KEY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\bsk-[0-9A-Za-z_-]{16,}").expect("a regular expression"));

/// What may be a random token.
static LONG_RUN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[0-9A-Za-z_+/=-]{32,}").expect("a regular expression"));

/// Whether a text contains what looks like a secret.
fn is_secret(text: &str) -> bool {
    KNOWN_FORMATS.is_match(text)
        || SK_KEY
            .find_iter(text)
            .any(|found| digits(found.as_str()) >= 3)
        || LONG_RUN
            .find_iter(text)
            .any(|found| is_mixed(found.as_str()))
}

fn digits(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

/// Whether characters alternate as in random text. Of 32 random characters, about 20 differ in class
/// from the one before; in joined words, dates and versions, few do. Keys have at most 200
/// characters; encoded images have more.
fn is_mixed(run: &str) -> bool {
    const MAX_KEY_LENGTH: usize = 200;
    let classes: Vec<u8> = run.bytes().filter_map(class).collect();
    let changes = classes.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let has_all = [b'a', b'A', b'0']
        .iter()
        .all(|class| classes.contains(class));
    run.len() <= MAX_KEY_LENGTH
        && classes.len() >= 32
        && has_all
        && changes * 5 >= classes.len() * 2
}

fn class(byte: u8) -> Option<u8> {
    match byte {
        b'a'..=b'z' => Some(b'a'),
        b'A'..=b'Z' => Some(b'A'),
        b'0'..=b'9' => Some(b'0'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_looks_like_a_key_is_a_secret() {
        // None of them opens anything.
        for text in [
            "sk-ant-api03-Zq3vT9xKpL2mWc8RnY5bJd7HfGs1AeUi",
            "sk-proj-4fT9aQ7LxW2kBn8VrM5cYd3Z",
            "sk-0123456789abcdef0123456789abcdef",
            "AIzaSyD4c9XbT7qLm2KfR8vWn3YpJ6hGsZaEuQ1",
            "AKIAIOSFODNN7EXAMPLE",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "github_pat_11ABCDEFG0abcdefghijkl_mnop",
            "xoxb-123456789012-abcdefghijkl",
            "gsk_q8ZtW4vLm2KfR9xYn3PbJ6hGsDaEuQ1cT7oV5iX0",
            "hf_aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH",
            "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
            "crk_12_0Y5bJd7HfGs1AeUiZq3vT9xKpL2mWc8RnY5bJd7HfGs1Ae",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
            "-----BEGIN PRIVATE KEY-----",
            "q7Lr2XUtnFe9I/K7mD4Ng/bPxRf1CYz8aW3pKe5T",
            "Zq3vT9xKpL2mWc8RnY5bJd7HfGs1AeUi",
            "Use the key sk-ant-api03-Zq3vT9xKpL2mWc8RnY5bJd7HfGs1AeUi for all of it.",
            "{\"Authorization\": \"Bearer Zq3vT9xKpL2mWc8RnY5bJd7HfGs1AeUi\"}",
        ] {
            assert!(is_secret(text), "{text}");
        }
    }

    #[test]
    fn prose_names_and_digests_are_none() {
        for text in [
            "",
            "ANTHROPIC_API_KEY",
            "AWS_BEARER_TOKEN_BEDROCK",
            "MY_COMPANY_PRODUCTION_ENVIRONMENT_OPENAI_API_KEY_2026",
            "You lead a review team. Keys begin with sk- and must never be repeated.",
            "Use sk-learn-compatible-estimators wherever you can.",
            "A risk-management-and-task-management-expert",
            "550e8400-e29b-41d4-a716-446655440000",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4",
            "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
            "accounts/fireworks/models/llama4-maverick-instruct-basic",
            "Qwen/Qwen3-235B-A22B-Instruct-2507-FP8-Turbo",
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:generateContent",
            "getUserAccountInformationByIdentifierAndRegion2",
            "2026-11-24T09:00:00.000000Z/2027-11-24T09:00:00.000000Z",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-pro-v1:0",
            "Donaudampfschifffahrtselektrizitaetenhauptbetriebswerkbauunterbeamtengesellschaft",
            "----------------------------------------",
            "0x0000000000000000000000000000000000000000",
            "0123456789012345678901234567890123456789",
        ] {
            assert!(!is_secret(text), "{text}");
        }
        let picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ".repeat(9);
        assert!(!is_secret(&picture), "a picture");
    }

    #[test]
    fn a_secret_is_found_wherever_it_stands_and_not_repeated() {
        const KEY: &str = "sk-ant-api03-Zq3vT9xKpL2mWc8RnY5bJd7HfGs1AeUi";
        let body = json!({
            "name": KEY,
            "api_key_env": KEY,
            "config": {"headers": [{"x-api-key": KEY}, "fine"]},
            "operations": [{"op": "add", "permissions": {"a/b": {"deep": KEY}}}],
            "metadata": {KEY: 1},
            "settings": {"instructions": "Be kind, be brief."},
        });
        let mut errors = Vec::new();
        check(&body, "#", &mut errors);
        let found: Vec<&str> = errors.iter().map(|error| &*error.pointer).collect();
        assert_eq!(
            found,
            [
                "#/api_key_env",
                "#/config/headers/0/x-api-key",
                "#/operations/0/permissions/a~1b/deep",
                "#/metadata",
            ]
        );
        assert!(
            errors
                .iter()
                .all(|error| error.detail.contains("api_key_env"))
        );
        assert!(!format!("{errors:?}").contains(KEY));
    }
}
