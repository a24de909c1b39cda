//! Writing YAML: one way for each value, in the block style that people edit. Reading it gives the same value back.

use std::fmt::Write;

use super::node::{Node, NodeMap, NodeValue};
use crate::text;

/// A document as YAML.
pub(crate) fn to_yaml(document: &Node) -> String {
    let mut yaml = String::new();
    match &document.value {
        NodeValue::Map(members) if !members.is_empty() => write_map(&mut yaml, members, 0, false),
        _ => write_value(&mut yaml, document, 0),
    }
    yaml
}

/// The members, each on lines of its own. The first one starts on the line of an item's dash, if there is one.
fn write_map(yaml: &mut String, members: &NodeMap, indent: usize, mut is_item: bool) {
    for (name, value) in members {
        if !std::mem::take(&mut is_item) {
            pad(yaml, indent);
        }
        if is_plain(name) {
            yaml.push_str(name);
        } else {
            write_key(yaml, name, indent);
        }
        yaml.push(':');
        write_value(yaml, value, indent);
    }
}

/// A parser looks for the colon of a key in one line, and not far.
fn write_key(yaml: &mut String, name: &str, indent: usize) {
    const MAX_KEY: usize = 1000;
    let key = quoted(name);
    if key.len() < MAX_KEY {
        yaml.push_str(&key);
        return;
    }
    yaml.push_str("? ");
    yaml.push_str(&key);
    yaml.push('\n');
    pad(yaml, indent);
}

fn write_list(yaml: &mut String, items: &[Node], indent: usize) {
    for item in items {
        pad(yaml, indent);
        yaml.push('-');
        match &item.value {
            NodeValue::Map(members) if !members.is_empty() => {
                yaml.push(' ');
                write_map(yaml, members, indent + 2, true);
            }
            _ => write_value(yaml, item, indent),
        }
    }
}

/// What follows the colon of a member or the dash of an item, up to the end of its last line.
fn write_value(yaml: &mut String, value: &Node, indent: usize) {
    let scalar = match &value.value {
        NodeValue::Map(members) if !members.is_empty() => {
            yaml.push('\n');
            return write_map(yaml, members, indent + 2, false);
        }
        NodeValue::List(items) if !items.is_empty() => {
            yaml.push('\n');
            return write_list(yaml, items, indent + 2);
        }
        NodeValue::Text(text) if is_block(text) => return write_block(yaml, text, indent + 2),
        NodeValue::Text(text) if is_plain(text) => text.clone(),
        NodeValue::Text(text) => quoted(text),
        NodeValue::Map(_) => "{}".to_owned(),
        NodeValue::List(_) => "[]".to_owned(),
        NodeValue::Null => "null".to_owned(),
        NodeValue::Bool(value) => value.to_string(),
        NodeValue::Number(digits) => digits.clone(),
    };
    yaml.push(' ');
    yaml.push_str(&scalar);
    yaml.push('\n');
}

fn pad(yaml: &mut String, indent: usize) {
    yaml.extend(std::iter::repeat_n(' ', indent));
}

/// Words that YAML, or its earlier version, takes for something other than text.
const WORDS: [&str; 9] = ["false", "n", "no", "null", "off", "on", "true", "y", "yes"];

/// Whether a text means the same without quotes, to any reader.
fn is_plain(text: &str) -> bool {
    let may_follow =
        |character: char| character.is_alphanumeric() || " _./+-,'()!?;=@%&*".contains(character);
    text.starts_with(char::is_alphabetic)
        && !text.ends_with(' ')
        && text.chars().all(may_follow)
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Whether a text of several lines can be written line by line.
fn is_block(text: &str) -> bool {
    let is_blank = |line: &str| !line.is_empty() && line.trim().is_empty();
    text.contains('\n')
        && !text.starts_with(char::is_whitespace)
        && !text.split('\n').any(is_blank)
        && text
            .chars()
            .all(|it| matches!(it, '\n' | '\t') || is_printable(it))
}

/// Whether a character is written as it is: neither refused by YAML, nor one that commands a terminal or hides text.
fn is_printable(character: char) -> bool {
    !text::is_control(character) && !matches!(character, '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn write_block(yaml: &mut String, text: &str, indent: usize) {
    let body = text.strip_suffix('\n');
    let chomping = match body {
        None => "-",
        Some(body) if body.ends_with('\n') => "+",
        Some(_) => "",
    };
    yaml.push_str(" |");
    yaml.push_str(chomping);
    yaml.push('\n');
    for line in body.unwrap_or(text).split('\n') {
        if !line.is_empty() {
            pad(yaml, indent);
            yaml.push_str(line);
        }
        yaml.push('\n');
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            other if is_printable(other) => quoted.push(other),
            // Writing to a string does not fail.
            other => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(other));
            }
        }
    }
    quoted.push('"');
    quoted
}
