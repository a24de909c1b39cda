//! Environment variables and headers of MCP servers: a column type whose values only name variables.

use std::collections::BTreeMap;

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseResult},
};
use sea_orm::DeriveValueType;
use serde_json::Value;

use crate::free_json::json_text;

/// What a server is given under each name: `${VARIABLE}`, which the runtime replaces by the value of that environment
/// variable, after a scheme where a header has one: `Bearer ${VARIABLE}`. A bare `VARIABLE` is stored as `${VARIABLE}`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveValueType)]
#[sea_orm(column_type = "Json")]
pub struct VariableMap(String);

/// A value: the name of a variable, bare or as a reference.
pub const PATTERN: &str = r"^([A-Za-z_][A-Za-z0-9_]*|([A-Za-z-]+ )?\$\{[A-Za-z_][A-Za-z0-9_]*\})$";

json_text!(VariableMap, "{}", Self, {
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
});

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
