//! Reading YAML, of which JSON is a part: to trees that know their lines.
//!
//! Scalars mean what the core schema of YAML 1.2 says; the digits of numbers stay as they are written. Aliases are replaced by
//! what they stand for, within bounds.

use std::{borrow::Cow, collections::HashMap, fmt, sync::LazyLock};

use regex::{Captures, Regex};
use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use super::node::{Node, NodeMap, NodeValue};

/// Why a text is not a YAML document that JSON can say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SourceError {
    pub(crate) line: usize,
    detail: String,
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// How deep values may be nested, as in requests.
const MAX_DEPTH: usize = 128;
/// How much memory all documents of a file may take with their aliases replaced, roughly and in bytes.
const MAX_WEIGHT: usize = 256 << 20;

/// The documents of a text, without empty ones.
///
/// # Errors
/// The first thing that is wrong.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, SourceError> {
    let text = join_surrogates(text);
    let mut composer = Composer::default();
    let mut documents = Vec::new();
    for event in Parser::new_from_str(&text) {
        let (event, span) = event.map_err(|error| SourceError {
            line: error.marker().line(),
            detail: format!("is not YAML: {}", error.info()),
        })?;
        composer.line = span.start.line();
        if let Event::DocumentEnd = event {
            let root = composer.root.take();
            documents.extend(root.filter(|root| root.value != NodeValue::Null));
        } else {
            composer.take(event)?;
        }
    }
    Ok(documents)
}

/// JSON writes characters beyond the first plane as two escapes, which YAML does not know.
fn join_surrogates(text: &str) -> Cow<'_, str> {
    static ESCAPE: LazyLock<Regex> = LazyLock::new(|| {
        let pair = r"u([dD][89abAB][[:xdigit:]]{2})\\u([dD][c-fC-F][[:xdigit:]]{2})";
        Regex::new(&format!(r"\\(?:{pair}|.)")).expect("a regular expression")
    });
    if !text.trim_start().starts_with(['{', '[']) {
        return Cow::Borrowed(text);
    }
    ESCAPE.replace_all(text, |escape: &Captures<'_>| {
        let unit = |index| u16::from_str_radix(escape.get(index)?.as_str(), 16).ok();
        let pair: Vec<u16> = unit(1).into_iter().chain(unit(2)).collect();
        match String::from_utf16(&pair) {
            Ok(character) if !pair.is_empty() => character,
            _ => escape[0].to_owned(),
        }
    })
}

/// A list or an object that has not ended yet.
struct Open {
    line: usize,
    anchor: usize,
    parts: OpenParts,
}

enum OpenParts {
    Items(Vec<Node>),
    Members {
        members: NodeMap,
        /// Members of the objects after `<<`, which those that are written themselves replace.
        merged: NodeMap,
        key: Option<MemberName>,
    },
}

enum MemberName {
    Name(String),
    Merge,
}

/// Makes trees of events.
#[derive(Default)]
struct Composer {
    line: usize,
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    weight: usize,
}

impl Composer {
    fn error(&self, detail: impl Into<String>) -> SourceError {
        SourceError {
            line: self.line,
            detail: detail.into(),
        }
    }

    fn take(&mut self, event: Event<'_>) -> Result<(), SourceError> {
        match event {
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor);
                let node = node.ok_or_else(|| self.error("an alias stands for what it is in"))?;
                let weight = weight(node);
                self.charge(weight)?;
                let copy = self.anchors[&anchor].clone();
                self.add(copy, 0, false)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_merge = style == ScalarStyle::Plain && text == "<<" && tag.is_none();
                self.charge(NODE + text.len())?;
                let value = self.scalar(text, style, tag.as_deref())?;
                let line = self.line;
                self.add(Node { line, value }, anchor, is_merge)
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(anchor, tag.as_deref(), OpenParts::Items(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                let parts = OpenParts::Members {
                    members: NodeMap::new(),
                    merged: NodeMap::new(),
                    key: None,
                };
                self.begin(anchor, tag.as_deref(), parts)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            _ => Ok(()),
        }
    }

    /// Counts what is about to be made.
    fn charge(&mut self, weight: usize) -> Result<(), SourceError> {
        self.weight += weight;
        if self.weight > MAX_WEIGHT {
            return Err(self.error("is too large, with what aliases stand for"));
        }
        Ok(())
    }

    fn begin(
        &mut self,
        anchor: usize,
        tag: Option<&Tag>,
        parts: OpenParts,
    ) -> Result<(), SourceError> {
        self.check_tag(tag)?;
        self.charge(NODE)?;
        if self.open.len() == MAX_DEPTH {
            return Err(self.error(format!("is nested deeper than {MAX_DEPTH} levels")));
        }
        self.open.push(Open {
            line: self.line,
            anchor,
            parts,
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), SourceError> {
        let Some(Open {
            line,
            anchor,
            parts,
        }) = self.open.pop()
        else {
            return Ok(());
        };
        let value = match parts {
            OpenParts::Items(items) => NodeValue::List(items),
            OpenParts::Members {
                mut members,
                merged,
                ..
            } => {
                for (name, value) in merged {
                    members.entry(name).or_insert(value);
                }
                NodeValue::Map(members)
            }
        };
        self.add(Node { line, value }, anchor, false)
    }

    /// Puts a value where it belongs, and remembers it if aliases may stand for it.
    fn add(&mut self, node: Node, anchor: usize, is_merge: bool) -> Result<(), SourceError> {
        if anchor > 0 {
            self.charge(weight(&node))?;
            self.anchors.insert(anchor, node.clone());
        }
        let line = self.line;
        let error = |detail: String| SourceError { line, detail };
        match self.open.last_mut().map(|open| &mut open.parts) {
            None => self.root = Some(node),
            Some(OpenParts::Items(items)) => items.push(node),
            Some(OpenParts::Members { key, .. }) if key.is_none() => {
                *key = Some(if is_merge {
                    MemberName::Merge
                } else {
                    MemberName::Name(name(node.value).map_err(error)?)
                });
            }
            Some(OpenParts::Members {
                members,
                merged,
                key,
            }) => match key.take() {
                Some(MemberName::Name(name)) => {
                    if let Some(other) = members.get(&name) {
                        let detail = format!("{name:?} is in line {}, too", other.line);
                        return Err(error(detail));
                    }
                    members.insert(name, node);
                }
                _ => merge(merged, node).map_err(error)?,
            },
        }
        Ok(())
    }

    fn check_tag(&self, tag: Option<&Tag>) -> Result<(), SourceError> {
        match tag {
            Some(tag) if !tag.is_yaml_core_schema() => {
                Err(self.error(format!("has the tag {tag}, which means nothing here")))
            }
            _ => Ok(()),
        }
    }

    fn scalar(
        &self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
    ) -> Result<NodeValue, SourceError> {
        self.check_tag(tag)?;
        if text.contains('\0') {
            return Err(self.error("contains a NUL character, which can't be stored"));
        }
        let is_text = tag.is_some_and(|tag| tag.suffix == "str");
        if is_text || style != ScalarStyle::Plain && tag.is_none() {
            return Ok(NodeValue::Text(text.into_owned()));
        }
        plain(&text).map_err(|detail| self.error(detail))
    }
}

/// About how much memory a value takes without its text and the values in it, in bytes.
const NODE: usize = 100;

/// About how much memory a value takes.
fn weight(node: &Node) -> usize {
    NODE + match &node.value {
        NodeValue::Text(text) | NodeValue::Number(text) => text.len(),
        NodeValue::List(items) => items.iter().map(weight).sum(),
        NodeValue::Map(members) => members
            .iter()
            .map(|(name, value)| name.len() + weight(value))
            .sum(),
        NodeValue::Null | NodeValue::Bool(_) => 0,
    }
}

/// The name of a member.
fn name(key: NodeValue) -> Result<String, String> {
    match key {
        NodeValue::Text(text) | NodeValue::Number(text) => Ok(text),
        NodeValue::Bool(value) => Ok(value.to_string()),
        _ => Err("the name of a member must be a text".to_owned()),
    }
}

/// Takes the members of the object, or objects, after `<<`. Those of earlier ones stay.
fn merge(merged: &mut NodeMap, node: Node) -> Result<(), String> {
    match node.value {
        NodeValue::Map(members) => {
            for (name, value) in members {
                merged.entry(name).or_insert(value);
            }
            Ok(())
        }
        NodeValue::List(items) => items.into_iter().try_for_each(|item| match item.value {
            NodeValue::Map(_) => merge(merged, item),
            _ => Err("<< takes objects".to_owned()),
        }),
        _ => Err("<< takes an object, or a list of objects".to_owned()),
    }
}

/// What a scalar without quotes is.
fn plain(text: &str) -> Result<NodeValue, String> {
    static JSON: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?"));
    static DIGITS: LazyLock<Regex> = LazyLock::new(|| pattern(r"([-+]?)0*([0-9]+)"));
    static BASE: LazyLock<Regex> = LazyLock::new(|| pattern(r"0(?:o([0-7]+)|x([[:xdigit:]]+))"));
    static FLOAT: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"));
    static NOT_JSON: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"));
    let too_large = || "is a number that is too large".to_owned();
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => NodeValue::Null,
        "true" | "True" | "TRUE" => NodeValue::Bool(true),
        "false" | "False" | "FALSE" => NodeValue::Bool(false),
        _ if JSON.is_match(text) => NodeValue::Number(text.to_owned()),
        _ if NOT_JSON.is_match(text) => {
            return Err("is a number that JSON does not have".to_owned());
        }
        _ => {
            if let Some(digits) = DIGITS.captures(text) {
                let sign = if &digits[1] == "-" { "-" } else { "" };
                NodeValue::Number(format!("{sign}{}", &digits[2]))
            } else if let Some(based) = BASE.captures(text) {
                let octal = based
                    .get(1)
                    .map(|digits| u64::from_str_radix(digits.as_str(), 8));
                let hex = || u64::from_str_radix(based.get(2).map_or("", |it| it.as_str()), 16);
                let number = octal.unwrap_or_else(hex).map_err(|_| too_large())?;
                NodeValue::Number(number.to_string())
            } else if FLOAT.is_match(text) {
                let number: f64 = text.parse().map_err(|_| too_large())?;
                let number = serde_json::Number::from_f64(number).ok_or_else(too_large)?;
                NodeValue::Number(number.to_string())
            } else {
                NodeValue::Text(text.to_owned())
            }
        }
    })
}

fn pattern(pattern: &str) -> Regex {
    Regex::new(&format!("^(?:{pattern})$")).expect("a regular expression")
}
