//! JSON for people: indented, with everything that fits on a line on one.

use std::fmt::Write;

use serde_json::Value;

const WIDTH: usize = 200;
/// Spaces per level. One saves a tenth of the text.
const STEP: usize = 1;

/// The text of a document, with a line end.
pub(super) fn pretty(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value, 0);
    text.push('\n');
    text
}

fn write(text: &mut String, value: &Value, indent: usize) {
    let line = value.to_string();
    let brackets = match value {
        Value::Object(members) if !members.is_empty() && line.len() + indent > WIDTH => "{}",
        Value::Array(items) if !items.is_empty() && line.len() + indent > WIDTH => "[]",
        _ => return text.push_str(&line),
    };
    let (open, close) = brackets.split_at(1);
    let mut separator = open;
    let mut next = |text: &mut String, key: Option<&String>, value| {
        let _ = write!(text, "{separator}\n{:1$}", "", indent + STEP);
        separator = ",";
        if let Some(key) = key {
            let _ = write!(text, "{}: ", Value::from(key.as_str()));
        }
        write(text, value, indent + STEP);
    };
    match value {
        Value::Object(members) => members
            .iter()
            .for_each(|(key, value)| next(text, Some(key), value)),
        Value::Array(items) => items.iter().for_each(|value| next(text, None, value)),
        _ => {}
    }
    let _ = write!(text, "\n{:indent$}{close}", "");
}
