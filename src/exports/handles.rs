//! Handles as the writers of formats see them: JSON, live or from a release.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::dto::NotExported;
use crate::{
    error::Error,
    handles::released::damaged,
    yaml::{Node, NodeMap, NodeValue, items_of, members_of, text_of},
};

/// The handles of a circle, one by one: all of them as trees would take much memory.
#[derive(Debug, Deserialize)]
pub(super) struct CircleJson<'h> {
    pub(super) circle: String,
    #[serde(borrow)]
    pub(super) settings: &'h RawValue,
    #[serde(borrow)]
    pub(super) handles: Vec<&'h RawValue>,
}

/// One member's handle.
#[derive(Debug)]
pub(super) struct HandleView {
    members: NodeMap,
}

impl HandleView {
    pub(super) fn parse(json: &RawValue) -> Result<Self, Error> {
        let node = Node::parse(json.get()).map_err(damaged)?;
        match node.value {
            NodeValue::Map(members) => Ok(Self { members }),
            _ => Err(damaged("a handle that is no object")),
        }
    }

    /// A value that says something: neither null nor empty.
    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        self.members.get(name).filter(|node| says_something(node))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        text_of(self.get(name)?)
    }

    pub(super) fn items(&self, name: &str) -> &[Node] {
        self.get(name).map(items_of).unwrap_or_default()
    }

    /// A value in nested objects.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Node> {
        let (first, rest) = path.split_first()?;
        rest.iter()
            .try_fold(self.members.get(*first)?, |node, name| {
                members_of(node)?.get(*name)
            })
            .filter(|node| says_something(node))
    }

    pub(super) fn name(&self) -> &str {
        self.text("agent_name").unwrap_or_default()
    }

    /// The system prompt without the parts of some origins: a default text says nothing of the agent.
    pub(super) fn prompt(&self, without: &[&str]) -> String {
        let prompt: Vec<char> = self
            .text("system_prompt")
            .unwrap_or_default()
            .chars()
            .collect();
        let number = |part: &NodeMap, name: &str| match part.get(name).map(|node| &node.value) {
            Some(NodeValue::Number(digits)) => digits.parse::<usize>().ok(),
            _ => None,
        };
        let parts = self
            .at(&["provenance", "system_prompt"])
            .map(items_of)
            .unwrap_or_default();
        let text = |part: &Node| {
            let part = members_of(part)?;
            let source = part.get("source").and_then(text_of).unwrap_or_default();
            let (start, length) = (number(part, "start")?, number(part, "length")?);
            let text = prompt.get(start..start + length)?;
            (!without.contains(&source)).then(|| text.iter().collect::<String>())
        };
        parts
            .iter()
            .filter_map(text)
            .collect::<Vec<_>>()
            .join("\n\n")
    }
}

fn says_something(node: &Node) -> bool {
    match &node.value {
        NodeValue::Null => false,
        NodeValue::Text(text) => !text.is_empty(),
        NodeValue::List(items) => !items.is_empty(),
        NodeValue::Map(members) => members.values().any(|it| it.value != NodeValue::Null),
        NodeValue::Bool(_) | NodeValue::Number(_) => true,
    }
}

/// What a format has no place for, as it is found.
#[derive(Debug, Default)]
pub(super) struct ExportReport(Vec<NotExported>);

impl ExportReport {
    pub(super) fn add(&mut self, agent: Option<&str>, field: &str, detail: impl Into<String>) {
        let remark = NotExported {
            agent: agent.map(str::to_owned),
            field: field.to_owned(),
            detail: detail.into(),
        };
        if !self.0.contains(&remark) {
            self.0.push(remark);
        }
    }

    /// The fields of these that a handle has.
    pub(super) fn add_all(&mut self, handle: &HandleView, fields: &[&str], detail: &str) {
        for field in fields {
            if handle.get(field).is_some() {
                self.add(Some(handle.name()), field, detail);
            }
        }
    }

    pub(super) fn into_remarks(self) -> Vec<NotExported> {
        self.0
    }
}
