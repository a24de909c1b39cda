//! The fields of an object in a file, which are taken out one by one. What is left is for the caller to place.

use crate::yaml::{Node, NodeMap, NodeValue};
pub(super) use crate::yaml::{items_of, members_of, text_of};

/// An object of which fields are taken.
#[derive(Clone, Debug, Default)]
pub(super) struct SourceFields {
    members: NodeMap,
    /// Where the object is.
    pub(super) origin: usize,
}

impl SourceFields {
    /// # Errors
    /// The value itself if it is not an object.
    pub(super) fn of(node: Node) -> Result<Self, Node> {
        let origin = node.line;
        match node.value {
            NodeValue::Map(members) => Ok(Self { members, origin }),
            value => Err(Node {
                line: origin,
                value,
            }),
        }
    }

    /// The fields of a value that is an object, and otherwise none.
    pub(super) fn of_any(node: Node) -> Self {
        Self::of(node).unwrap_or_default()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        self.members.get(name)
    }

    /// Takes a field of any type. Null says nothing, as if there were no such field.
    pub(super) fn take(&mut self, name: &str) -> Option<Node> {
        let node = self.members.shift_remove(name)?;
        (node.value != NodeValue::Null).then_some(node)
    }

    /// Takes a field if it is of a type. Otherwise it stays.
    fn take_if(&mut self, name: &str, is_wanted: impl Fn(&NodeValue) -> bool) -> Option<Node> {
        let node = self.members.get(name)?;
        if node.value == NodeValue::Null || is_wanted(&node.value) {
            return self.take(name);
        }
        None
    }

    /// Takes a text.
    pub(super) fn text(&mut self, name: &str) -> Option<Node> {
        self.take_if(name, |value| matches!(value, NodeValue::Text(_)))
    }

    /// Takes a text that says something.
    pub(super) fn filled_text(&mut self, name: &str) -> Option<(String, usize)> {
        let node = self.text(name)?;
        let line = node.line;
        match node.value {
            NodeValue::Text(text) if !text.trim().is_empty() => Some((text, line)),
            _ => None,
        }
    }

    /// Takes a number.
    pub(super) fn number(&mut self, name: &str) -> Option<Node> {
        self.take_if(name, |value| matches!(value, NodeValue::Number(_)))
    }

    /// Takes a boolean.
    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        match self
            .take_if(name, |value| matches!(value, NodeValue::Bool(_)))?
            .value
        {
            NodeValue::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// Takes an object.
    pub(super) fn object(&mut self, name: &str) -> Option<Self> {
        let node = self.take_if(name, |value| matches!(value, NodeValue::Map(_)))?;
        Self::of(node).ok()
    }

    /// Takes a list, or a single value as a list of one.
    pub(super) fn list(&mut self, name: &str) -> Vec<Node> {
        match self.take(name) {
            Some(Node {
                value: NodeValue::List(items),
                ..
            }) => items,
            Some(node) => vec![node],
            None => Vec::new(),
        }
    }

    /// Takes a list of texts, if it is one.
    pub(super) fn texts(&mut self, name: &str) -> Option<Node> {
        self.take_if(name, |value| match value {
            NodeValue::List(items) => items
                .iter()
                .all(|item| matches!(&item.value, NodeValue::Text(text) if !text.is_empty())),
            _ => false,
        })
    }

    pub(super) fn insert(&mut self, name: &str, node: Node) {
        self.members.insert(name.to_owned(), node);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// What is left, without nulls.
    pub(super) fn rest(self) -> NodeMap {
        let mut members = self.members;
        members.retain(|_, node| node.value != NodeValue::Null);
        members
    }
}

/// A text of this place.
pub(super) fn text_at(text: impl Into<String>, line: usize) -> Node {
    Node {
        line,
        value: NodeValue::Text(text.into()),
    }
}

/// An object of this place.
pub(super) fn map_at(members: NodeMap, line: usize) -> Node {
    Node {
        line,
        value: NodeValue::Map(members),
    }
}

/// A list of this place.
pub(super) fn list_at(items: Vec<Node>, line: usize) -> Node {
    Node {
        line,
        value: NodeValue::List(items),
    }
}

/// Puts a value into nested objects, which are made as needed. A value that is there already moves aside.
pub(super) fn put(members: &mut NodeMap, path: &[&str], node: Node) {
    let Some((name, rest)) = path.split_first() else {
        return;
    };
    if rest.is_empty() {
        members.insert((*name).to_owned(), node);
        return;
    }
    let entry = members
        .entry((*name).to_owned())
        .or_insert_with(|| map_at(NodeMap::new(), node.line));
    if !matches!(entry.value, NodeValue::Map(_)) {
        let line = entry.line;
        let before = std::mem::replace(entry, map_at(NodeMap::new(), line));
        if let NodeValue::Map(inner) = &mut entry.value {
            inner.insert("value".to_owned(), before);
        }
    }
    if let NodeValue::Map(inner) = &mut entry.value {
        put(inner, rest, node);
    }
}
