//! Markdown with front matter. Some of it is not YAML: a description with `: ` in it, or several lines of examples without an
//! indentation. Then each line that begins like a field is one, and those after it belong to it.

use std::sync::LazyLock;

use regex::Regex;

use super::fields::{list_at, map_at, text_at};
use crate::yaml::{self, Node, NodeMap, NodeValue};

/// A file of Markdown.
#[derive(Debug)]
pub(super) struct Markdown {
    pub(super) front: Option<Node>,
    /// Whether the front matter is not YAML.
    pub(super) is_lenient: bool,
    pub(super) body: Node,
}

pub(super) fn read(text: &str) -> Markdown {
    let none = || Markdown {
        front: None,
        is_lenient: false,
        body: text_at(text.trim(), 1),
    };
    let lines: Vec<&str> = text.split('\n').collect();
    if lines.first().is_none_or(|line| line.trim_end() != "---") {
        return none();
    }
    let Some(end) = lines[1..].iter().position(|line| line.trim_end() == "---") else {
        return none();
    };
    let front = lines[1..=end].join("\n");
    let body = text_at(lines[end + 2..].join("\n").trim(), end + 3);
    let parsed = yaml::parse(&front).ok();
    let strict = parsed.and_then(|documents| match documents.as_slice() {
        [
            document @ Node {
                value: NodeValue::Map(_),
                ..
            },
        ] => Some(document.clone()),
        _ => None,
    });
    let is_lenient = strict.is_none();
    let mut front = strict.unwrap_or_else(|| by_lines(&front));
    move_down(&mut front);
    Markdown {
        front: Some(front),
        is_lenient,
        body,
    }
}

/// The front matter begins in the second line of the file.
fn move_down(node: &mut Node) {
    node.line += 1;
    match &mut node.value {
        NodeValue::List(items) => items.iter_mut().for_each(move_down),
        NodeValue::Map(members) => members.values_mut().for_each(move_down),
        _ => {}
    }
}

/// The fields that end a description. Its examples have lines as `user: Hello`.
const KNOWN: [&str; 20] = [
    "background",
    "color",
    "disallowedTools",
    "effort",
    "experimental",
    "hooks",
    "initialPrompt",
    "isolation",
    "maxTurns",
    "mcpServers",
    "memory",
    "metadata",
    "model",
    "name",
    "omitClaudeMd",
    "permissionMode",
    "skills",
    "tools",
    "type",
    "version",
];

/// Fields line by line. A value that is YAML by itself is that, and otherwise a text.
fn by_lines(front: &str) -> Node {
    static FIELD: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^([A-Za-z][A-Za-z0-9_-]*):(?:[ \t]+(.*))?$").expect("a regular expression")
    });
    let mut members: Vec<(String, usize, Vec<String>)> = Vec::new();
    let begins = |name: &str, members: &[(String, usize, Vec<String>)]| {
        let in_description = members.last().is_some_and(|it| it.0 == "description");
        !members.iter().any(|it| it.0 == name) && (!in_description || KNOWN.contains(&name))
    };
    for (index, line) in front.split('\n').enumerate() {
        let line = line.trim_end();
        let field = FIELD.captures(line);
        let field = field.filter(|field| begins(&field[1], &members));
        match (field, members.last_mut()) {
            (Some(field), _) => {
                let value = field.get(2).map_or("", |value| value.as_str());
                members.push((field[1].to_owned(), index + 1, vec![value.to_owned()]));
            }
            (_, Some((_, _, lines))) => lines.push(line.to_owned()),
            (_, None) => {}
        }
    }
    let member = |(name, line, lines): (String, usize, Vec<String>)| {
        let value = value_of(&name, line, &lines);
        (name, value)
    };
    map_at(members.into_iter().map(member).collect::<NodeMap>(), 1)
}

fn value_of(name: &str, line: usize, lines: &[String]) -> Node {
    let text = lines.join("\n");
    let text = text.trim();
    let whole = yaml::parse(&format!("{name}: {}\n", lines.join("\n"))).ok();
    let whole = whole.and_then(|documents| match documents.into_iter().next()?.value {
        NodeValue::Map(members) if members.len() == 1 => members.into_values().next(),
        _ => None,
    });
    match whole {
        Some(Node {
            value: NodeValue::List(items),
            ..
        }) => {
            let items = items.into_iter().map(|item| Node { line, ..item });
            list_at(items.collect(), line)
        }
        Some(Node {
            value: value @ (NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Map(_)),
            ..
        }) => Node { line, value },
        Some(Node {
            value: NodeValue::Text(value),
            ..
        }) => text_at(value, line),
        _ => text_at(text, line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(markdown: &Markdown, name: &str) -> Option<String> {
        let NodeValue::Map(members) = &markdown.front.as_ref()?.value else {
            return None;
        };
        serde_json::to_string(members.get(name)?).ok()
    }

    #[test]
    fn front_matter_that_is_not_yaml_is_read_line_by_line() {
        let text = "---\nname: a\ndescription: Use it: always. Examples:\n<example>\nuser: hi\n</example>\n\
                    tools: Read, Write\nmodel: opus\nmaxTurns: 3\n---\n\nBody: yes.\n---\nend\n";
        let markdown = read(text);
        assert!(markdown.is_lenient);
        assert_eq!(
            field(&markdown, "description").as_deref(),
            Some(r#""Use it: always. Examples:\n<example>\nuser: hi\n</example>""#)
        );
        assert_eq!(
            field(&markdown, "tools").as_deref(),
            Some(r#""Read, Write""#)
        );
        assert_eq!(field(&markdown, "maxTurns").as_deref(), Some("3"));
        assert_eq!(
            markdown.body,
            text_at("Body: yes.\n---\nend", 0),
            "{:?}",
            markdown.body
        );
    }

    #[test]
    fn front_matter_that_is_yaml_is_read_as_such() {
        let markdown = read("---\nname: a\ntools: [Read]\n---\nText\n");
        assert!(!markdown.is_lenient);
        assert_eq!(field(&markdown, "tools").as_deref(), Some(r#"["Read"]"#));
        for text in ["No front matter", "---\nname: a\nnever ends", ""] {
            assert!(read(text).front.is_none(), "{text}");
        }
    }
}
