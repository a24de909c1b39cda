//! Secrets are not stored: a provider's key is only ever the name of an environment variable.
//!
//! People paste keys where they seem to fit. A key of a known form ([`formats`]) is refused anywhere
//! in a request, and so is a URL with a password. The fields that take free settings are searched
//! for more: for secrets by their name ([`names`]) and in the parameters of URLs ([`urls`]). What
//! only looks random is stored, and the response says where it stands.
//!
//! Start at [`look_through`]. Imports nothing but the errors it reports.

mod formats;
mod names;
mod placeholders;
mod urls;
mod words;

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use self::{names::Verdict, words::is_mixed};
use crate::error::{FieldError, FieldErrors, Place};

/// The fields that take free settings, texts or addresses, and are searched at any depth.
const FREE_FIELDS: [&str; 13] = [
    API_KEY_ENV,
    "args",
    "base_url",
    "config",
    "default_params",
    "env",
    "headers",
    "metadata",
    "params",
    "permissions",
    "settings",
    "tool_calls",
    "url",
];

/// Takes the name of an environment variable; a name is not random.
const API_KEY_ENV: &str = "api_key_env";

const ADVICE: &str = "and secrets are not stored here: put it into an environment variable, and that \
    variable's name into the provider's api_key_env";

/// What a body holds, by its place and never by its value.
#[derive(Debug, Default)]
pub(crate) struct FoundSecrets {
    /// Secrets.
    pub(crate) refused: FieldErrors,
    /// JSON pointers to what may be a secret; the first [`MAX_SUSPECTED`] of them.
    pub(crate) suspected: Vec<String>,
}

/// How many suspected secrets are reported.
const MAX_SUSPECTED: usize = 10;

/// Searches the body of a request for secrets.
pub(crate) fn look_through(body: &Value) -> FoundSecrets {
    let mut findings = FoundSecrets::default();
    let context = Context {
        free: false,
        name: None,
        depth: 0,
    };
    findings.search(body, &Place::Body, context);
    findings
}

/// What the search knows of a value.
#[derive(Clone, Copy)]
struct Context<'c> {
    /// Whether it is inside one of the [`FREE_FIELDS`].
    free: bool,
    /// The name it stands under.
    name: Option<&'c str>,
    /// In how many JSON texts it is.
    depth: usize,
}

impl<'c> Context<'c> {
    fn named(self, name: &'c str) -> Self {
        Self {
            free: self.free || FREE_FIELDS.contains(&name),
            name: Some(name),
            ..self
        }
    }
}

impl FoundSecrets {
    fn search(&mut self, value: &Value, place: &Place<'_>, context: Context<'_>) {
        match value {
            Value::String(text) => self.search_text(text, place, context),
            Value::Object(members) => self.search_members(members, place, context),
            Value::Array(items) => {
                let mut before = &Value::Null;
                for (index, item) in items.iter().enumerate() {
                    let name = option_of(before, item).or(context.name);
                    self.search(
                        item,
                        &Place::Item(place, index),
                        Context { name, ..context },
                    );
                    before = item;
                }
            }
            _ => {}
        }
    }

    fn search_members(
        &mut self,
        members: &Map<String, Value>,
        place: &Place<'_>,
        context: Context<'_>,
    ) {
        let label = label_of(members).or(context.name);
        for (name, value) in members {
            let member = Place::Member(place, name);
            // A pointer to such a member would repeat its name.
            let place = if let Some(kind) = formats::find(name) {
                self.refuse(place, &format!("has a member whose name {}", advice(kind)));
                continue;
            } else if context.free && is_random(name) {
                self.suspect(place);
                place
            } else {
                &member
            };
            match label {
                Some(label) if is_value(name) => self.search(value, place, context.named(label)),
                _ => self.search(value, place, context.named(name)),
            }
        }
    }

    fn search_text(&mut self, text: &str, place: &Place<'_>, context: Context<'_>) {
        if let Some(kind) = formats::find(text) {
            self.refuse(place, &advice(kind));
        } else if urls::has_password(text) {
            self.refuse(place, &advice("URL with a password"));
        } else if context.free {
            self.search_free_text(text, place, context);
        }
    }

    fn search_free_text(&mut self, text: &str, place: &Place<'_>, context: Context<'_>) {
        if let Some(value) = parse_json(text, context.depth) {
            self.search_embedded(&value, place, context);
            return;
        }
        let name = context.name.unwrap_or_default();
        let by_name = names::judge(name, text).max(names::judge_assignments(text));
        let by_parameter = urls::judge_parameters(text);
        let is_random = is_random(text);
        if by_name == Verdict::Secret || name == API_KEY_ENV && is_random {
            self.refuse(place, &advice("by its name"));
        } else if by_parameter == Verdict::Secret {
            self.refuse(place, &advice("URL with a key"));
        } else if by_name.max(by_parameter) == Verdict::Suspected || is_random {
            self.suspect(place);
        }
    }

    /// Searches what a text is as JSON; no pointer leads into a text.
    fn search_embedded(&mut self, value: &Value, place: &Place<'_>, context: Context<'_>) {
        let mut inside = Self::default();
        let depth = context.depth + 1;
        inside.search(value, place, Context { depth, ..context });
        if let Some(first) = inside.refused.listed().first() {
            self.refuse(place, &first.detail);
        } else if !inside.suspected.is_empty() {
            self.suspect(place);
        }
    }

    fn refuse(&mut self, place: &Place<'_>, detail: &str) {
        self.refused.push(|| FieldError::at(place, detail));
    }

    fn suspect(&mut self, place: &Place<'_>) {
        if self.suspected.len() < MAX_SUSPECTED {
            let pointer = place.pointer();
            if self.suspected.last() != Some(&pointer) {
                self.suspected.push(pointer);
            }
        }
    }
}

fn advice(kind: &str) -> String {
    format!("looks like a secret ({kind}), {ADVICE}")
}

/// Reads a text that is a JSON object or array itself, as the arguments of tool calls are. One with so
/// many values that it would fill the memory holds data.
fn parse_json(text: &str, depth: usize) -> Option<Value> {
    const DEEPEST: usize = 3;
    const MOST_VALUES: usize = 50_000;
    let begins_value = |byte: &u8| b",[{".contains(byte);
    let may_be = depth < DEEPEST
        && text.trim_start().starts_with(['{', '['])
        && text.bytes().filter(begins_value).count() <= MOST_VALUES;
    may_be.then(|| serde_json::from_str(text).ok()).flatten()
}

/// The name in `{"name": "Authorization", "value": "…"}`.
fn label_of(members: &Map<String, Value>) -> Option<&str> {
    const LABELS: [&str; 4] = ["header", "key", "name", "variable"];
    let has_value = members.keys().any(|name| is_value(name));
    let mut labels = LABELS
        .iter()
        .filter_map(|label| members.get(*label)?.as_str());
    has_value.then(|| labels.next()).flatten()
}

fn is_value(name: &str) -> bool {
    name == "value" || name == "default"
}

/// The command-line option that an item is the value of, as in `["--api-key", "…"]`.
fn option_of<'v>(before: &'v Value, item: &Value) -> Option<&'v str> {
    let option = before.as_str().filter(|text| text.starts_with("--"))?;
    let is_option = item.as_str().is_some_and(|text| text.starts_with('-'));
    (!is_option).then_some(option)
}

/// What may be one long token.
static RUN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("(?-u)[0-9A-Za-z_+/=-]{32,}").expect("a regular expression"));

/// Whether a text holds what looks like random characters, and is no link, digest or public key.
fn is_random(text: &str) -> bool {
    let mut runs = RUN.find_iter(text);
    runs.any(|run| is_mixed(run.as_str()) && !is_public(&text[..run.start()], run.as_str()))
}

fn is_public(before: &str, run: &str) -> bool {
    const FAR: usize = 256;
    let from = before.floor_char_boundary(before.len().saturating_sub(FAR));
    let before = &before[from..];
    let word = before.rsplit(char::is_whitespace).next();
    let is_link = word.is_some_and(|word| word.contains("://"));
    let is_digest = run.starts_with("sha") || before.ends_with("sha256:");
    let is_ssh = ["ssh-rsa ", "ssh-ed25519 ", "-nistp256 "].iter();
    is_link || is_digest || is_ssh.into_iter().any(|kind| before.ends_with(kind))
}

/// Whether a text is or holds a key of a known form, wherever it stands.
pub(crate) fn is_secret(text: &str) -> bool {
    formats::find(text).is_some() || urls::has_password(text)
}
