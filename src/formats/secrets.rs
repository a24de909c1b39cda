//! Secrets in files are never stored: what looks like one is left out of the document, and reported without its value.

use serde_json::Value;

use super::draft::Draft;
use crate::{
    secrets,
    yaml::{Node, NodeMap, NodeValue},
};

/// What stands in a text in place of a secret.
const REMOVED: &str = "${REMOVED_SECRET}";

/// Leaves secrets out of a document.
///
/// # Errors
/// A secret that can't be left out, by its place.
pub(super) fn leave_out(document: &mut Node, draft: &mut Draft<'_>) -> Result<(), String> {
    // Each round leaves out what the one before found; a report lists only so many.
    const ROUNDS: usize = 10_000;
    for _ in 0..ROUNDS {
        let found = secrets::look_through(&document.to_value());
        let Some(first) = found.refused.listed().first().cloned() else {
            return Ok(());
        };
        let pointers = found.refused.listed().iter().map(|it| it.pointer.clone());
        let mut progress = false;
        for pointer in pointers.collect::<Vec<_>>() {
            let keys: Vec<String> = pointer
                .trim_start_matches("#/")
                .split('/')
                .map(|key| key.replace("~1", "/").replace("~0", "~"))
                .collect();
            progress |= remove(document, &keys, draft);
        }
        if !progress {
            return Err(first.pointer);
        }
    }
    Ok(())
}

/// Removes the value at a place. Whether it was there.
fn remove(node: &mut Node, keys: &[String], draft: &mut Draft<'_>) -> bool {
    let Some((key, rest)) = keys.split_first() else {
        return false;
    };
    match &mut node.value {
        NodeValue::Map(members) if rest.is_empty() => remove_member(members, key, draft),
        NodeValue::Map(members) => members
            .get_mut(key)
            .is_some_and(|inner| remove(inner, rest, draft)),
        NodeValue::List(items) => {
            let Some(item) = key.parse::<usize>().ok().and_then(|it| items.get_mut(it)) else {
                return false;
            };
            if !rest.is_empty() {
                return remove(item, rest, draft);
            }
            let advice = format!(
                "looks like a secret: {REMOVED} stands in its place; set it where the runtime runs"
            );
            draft.not_kept(item.line, advice);
            item.value = NodeValue::Text(REMOVED.to_owned());
            true
        }
        _ => false,
    }
}

fn remove_member(members: &mut NodeMap, key: &str, draft: &mut Draft<'_>) -> bool {
    const TEXTS: [&str; 9] = [
        "system_prompt",
        "base_prompt",
        "description",
        "project_context",
        "role",
        "display_name",
        "url",
        "base_url",
        "command",
    ];
    let Some(member) = members.get_mut(key) else {
        return false;
    };
    let line = member.line;
    if TEXTS.contains(&key)
        && let NodeValue::Text(text) = &member.value
        && let Some(cleaned) = without_secrets(text)
    {
        let detail =
            "has a secret in it, which is not kept: name an environment variable in its place";
        draft.not_kept(line, detail);
        member.value = NodeValue::Text(cleaned);
        return true;
    }
    members.shift_remove(key);
    let variable = super::values::variable_name(&[key]);
    draft.not_kept(
        line,
        format!("looks like a secret, and is not stored: set an environment variable as {variable} where the runtime runs"),
    );
    true
}

/// A text without its words that are secrets. `None` if they are no words of their own.
fn without_secrets(text: &str) -> Option<String> {
    let mut cleaned = String::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        if !secrets::is_secret(bare) {
            cleaned.push_str(word);
            continue;
        }
        cleaned.push_str(&without_credentials(bare).unwrap_or_else(|| REMOVED.to_owned()));
        cleaned.push_str(&word[bare.len()..]);
    }
    let is_clean = |text: &str| {
        let found = secrets::look_through(&Value::from(text));
        found.refused.is_empty()
    };
    is_clean(&cleaned).then_some(cleaned)
}

/// An address without the user and the password in it.
fn without_credentials(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (_, host) = rest.split_once('@')?;
    let bare = format!("{scheme}://{host}");
    (!secrets::is_secret(&bare)).then_some(bare)
}
