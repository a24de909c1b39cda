//! JSON as a tree that keeps the digits of numbers: `serde_json::Value` changes `1e17`, `-0` and long integers.

use indexmap::IndexMap;
use serde::{Serialize, Serializer, ser};
use serde_json::{Error, Number, Value, value::RawValue};

/// A JSON value, and the line that it was read from.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) value: NodeValue,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NodeValue {
    Null,
    Bool(bool),
    /// The digits of a JSON number.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(NodeMap),
}

pub(crate) type NodeMap = IndexMap<String, Node>;

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl From<NodeValue> for Node {
    fn from(value: NodeValue) -> Self {
        Self { line: 0, value }
    }
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        NodeValue::Text(text.to_owned()).into()
    }
}

impl From<NodeMap> for Node {
    fn from(members: NodeMap) -> Self {
        NodeValue::Map(members).into()
    }
}

impl From<Vec<Node>> for Node {
    fn from(items: Vec<Node>) -> Self {
        NodeValue::List(items).into()
    }
}

impl Node {
    /// # Errors
    /// A text that is not JSON.
    pub(crate) fn parse(json: &str) -> Result<Self, Error> {
        Self::of_raw(serde_json::from_str(json)?)
    }

    fn of_raw(raw: &RawValue) -> Result<Self, Error> {
        let json = raw.get();
        let value = match json.as_bytes().first() {
            Some(b'{') => {
                let members: IndexMap<String, &RawValue> = serde_json::from_str(json)?;
                let member = |(name, value)| Ok((name, Self::of_raw(value)?));
                let members = members.into_iter().map(member);
                NodeValue::Map(members.collect::<Result<_, Error>>()?)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(json)?;
                let items = items.into_iter().map(Self::of_raw);
                NodeValue::List(items.collect::<Result<_, Error>>()?)
            }
            Some(b'"') => NodeValue::Text(serde_json::from_str(json)?),
            Some(b't' | b'f') => NodeValue::Bool(json == "true"),
            Some(b'n') => NodeValue::Null,
            _ => NodeValue::Number(json.to_owned()),
        };
        Ok(value.into())
    }

    /// As a `Value` that differs from that of another node exactly if the nodes differ: a number that `Value` would change
    /// is the string of its digits.
    pub(crate) fn to_value(&self) -> Value {
        match &self.value {
            NodeValue::Null => Value::Null,
            NodeValue::Bool(value) => Value::Bool(*value),
            NodeValue::Number(digits) => match serde_json::from_str::<Number>(digits) {
                Ok(number) if number.to_string() == *digits => number.into(),
                _ => digits.as_str().into(),
            },
            NodeValue::Text(text) => text.as_str().into(),
            NodeValue::List(items) => items.iter().map(Self::to_value).collect(),
            NodeValue::Map(members) => members
                .iter()
                .map(|(name, value)| (name.clone(), value.to_value()))
                .collect(),
        }
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            NodeValue::Null => serializer.serialize_unit(),
            NodeValue::Bool(value) => serializer.serialize_bool(*value),
            NodeValue::Number(digits) => {
                let raw = RawValue::from_string(digits.clone()).map_err(ser::Error::custom)?;
                raw.serialize(serializer)
            }
            NodeValue::Text(text) => serializer.serialize_str(text),
            NodeValue::List(items) => serializer.collect_seq(items),
            NodeValue::Map(members) => serializer.collect_map(members),
        }
    }
}

/// The text of a value that is one.
pub(crate) fn text_of(node: &Node) -> Option<&str> {
    match &node.value {
        NodeValue::Text(text) => Some(text),
        _ => None,
    }
}

/// The items of a value that is a list.
pub(crate) fn items_of(node: &Node) -> &[Node] {
    match &node.value {
        NodeValue::List(items) => items,
        _ => &[],
    }
}

/// The members of a value that is an object.
pub(crate) fn members_of(node: &Node) -> Option<&NodeMap> {
    match &node.value {
        NodeValue::Map(members) => Some(members),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_keeps_the_digits_of_numbers_and_the_order_of_members() {
        let json = r#"{"b":[1e17,-0,1.50,12345678901234567890123,null],"a":{"é\n":true}}"#;
        let node = Node::parse(json).expect("JSON");
        assert_eq!(serde_json::to_string(&node).expect("JSON"), json);
        let one = Node::parse("[12345678901234567890123]").expect("JSON");
        let other = Node::parse("[12345678901234567890124]").expect("JSON");
        assert_ne!(one.to_value(), other.to_value());
    }
}
