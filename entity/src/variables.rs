//! Environment variables and headers of MCP servers: a column type whose values only name variables.

use std::{borrow::Cow, collections::BTreeMap};

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseResult, Type},
};
use sea_orm::DeriveValueType;
use serde_json::Value;

use crate::free_json::json_texts;

/// What a server is given under each name: `${VARIABLE}`, which the runtime replaces by the value of that environment
/// variable, after a scheme where a header has one: `Bearer ${VARIABLE}`. A bare `VARIABLE` is stored as `${VARIABLE}`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveValueType)]
#[sea_orm(column_type = "Json")]
pub struct VariableMap(String);

/// A value: the name of a variable, bare or as a reference.
pub const PATTERN: &str = r"^([A-Za-z_][A-Za-z0-9_]*|([A-Za-z-]+ )?\$\{[A-Za-z_][A-Za-z0-9_]*\})$";

impl Default for VariableMap {
    fn default() -> Self {
        Self("{}".to_owned())
    }
}

impl VariableMap {
    /// The names that values are given under.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let members: BTreeMap<String, String> = serde_json::from_str(&self.0).unwrap_or_default();
        members.into_keys().collect()
    }
}

fn reference(value: String) -> String {
    if value.ends_with('}') {
        value
    } else {
        format!("${{{value}}}")
    }
}

impl Type for VariableMap {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "VariableMap".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let value = MetaSchema {
            max_length: Some(200),
            pattern: Some(PATTERN.to_owned()),
            ..MetaSchema::new("string")
        };
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            additional_properties: Some(Box::new(MetaSchemaRef::Inline(Box::new(value)))),
            max_properties: Some(100),
            ..MetaSchema::new("object")
        }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::empty())
    }
}

impl ParseFromJSON for VariableMap {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let members: BTreeMap<String, String> = match value {
            Some(Value::String(text)) => serde_json::from_str(&text),
            value => serde_json::from_value(value.unwrap_or_default()),
        }
        .map_err(ParseError::custom)?;
        let members = members
            .into_iter()
            .map(|(name, value)| (name, reference(value)));
        let members: BTreeMap<String, String> = members.collect();
        serde_json::to_string(&members)
            .map(Self)
            .map_err(ParseError::custom)
    }
}

json_texts!(VariableMap);
