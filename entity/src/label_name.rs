//! Names of labels, with the schema that the API shows. A pattern in a validator of poem-openapi is compiled for each
//! request; the service checks this one as it checks all that is published.

use std::{borrow::Cow, ops::Deref};

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use sea_orm::FromJsonQueryResult;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::values::{json_by_serde, list_type};

/// The name of a label, as a client sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelName(String);

impl LabelName {
    pub const PATTERN: &str = "^[A-Za-z][A-Za-z0-9._-]*$";
    /// In characters.
    pub const MAX_LENGTH: usize = 64;
}

impl Deref for LabelName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Type for LabelName {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "LabelName".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            max_length: Some(Self::MAX_LENGTH),
            pattern: Some(Self::PATTERN.to_owned()),
            ..MetaSchema::new("string")
        }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::empty())
    }
}

impl ParseFromParameter for LabelName {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Ok(Self(value.to_owned()))
    }
}

/// A list of names of labels: at most 100.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
#[serde(transparent)]
pub struct LabelList(pub Vec<String>);

list_type!(LabelList of String, at most 100, LabelName::schema_ref());
json_by_serde!(LabelList);
