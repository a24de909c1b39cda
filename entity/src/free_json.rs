//! Free JSON: column types that hold the text that a client sent.

use std::collections::BTreeMap;

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseResult},
};
use sea_orm::DeriveValueType;
use serde_json::{Value, value::RawValue};

/// Implements what all column types have that hold the text of JSON: `json_text!(Type, "empty", Element, schema)`, with the
/// type of the API that the schema refers to at the end, if there is one.
///
/// The serializer of responses writes bytes unchanged; other serializers write an array of numbers.
macro_rules! json_text {
    ($ty:ident, $empty:literal, $element:ty, $schema:expr $(, $registered:ty)?) => {
        impl Default for $ty {
            fn default() -> Self {
                Self($empty.to_owned())
            }
        }

        impl $ty {
            /// The text of a column.
            #[must_use]
            pub fn from_stored(text: &str) -> Self {
                Self(text.to_owned())
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl ::poem_openapi::types::Type for $ty {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = $element;

            fn name() -> ::std::borrow::Cow<'static, str> {
                stringify!($ty).into()
            }

            fn schema_ref() -> ::poem_openapi::registry::MetaSchemaRef {
                $schema
            }

            $(
                fn register(registry: &mut ::poem_openapi::registry::Registry) {
                    <$registered>::register(registry);
                }
            )?

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a $element> + 'a> {
                Box::new(std::iter::empty())
            }
        }

        impl ::serde::Serialize for $ty {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(self.0.as_bytes())
            }
        }

        impl ::poem_openapi::types::ToJSON for $ty {
            fn to_json(&self) -> Option<::serde_json::Value> {
                serde_json::from_str(&self.0).ok()
            }
        }
    };
}

pub(crate) use json_text;

/// A JSON object with members of the client's choice, as the text that was sent: the order of its members and the
/// digits of its numbers stay.
///
/// A body that is validated holds this text as a string (`JsonSchema::quote_free`), because `serde_json::Value`
/// changes numbers.
#[derive(Clone, Debug, PartialEq, Eq, DeriveValueType)]
#[sea_orm(column_type = "Json")]
pub struct JsonObject(String);

json_text!(
    JsonObject,
    "{}",
    Self,
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        additional_properties: Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema::ANY)))),
        ..MetaSchema::new("object")
    }))
);

impl JsonObject {
    /// The string that is the value of a member, if it is one.
    #[must_use]
    pub fn string_member(&self, name: &str) -> Option<String> {
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(&self.0).ok()?;
        serde_json::from_str(members.get(name)?.get()).ok()
    }
}

/// A list of JSON objects with members of the client's choice: at most 100. Like [`JsonObject`], it is a text.
#[derive(Clone, Debug, PartialEq, Eq, DeriveValueType)]
#[sea_orm(column_type = "Json")]
pub struct JsonList(String);

json_text!(
    JsonList,
    "[]",
    JsonObject,
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        items: Some(Box::new(JsonObject::schema_ref())),
        max_items: Some(100),
        ..MetaSchema::new("array")
    }))
);

impl JsonList {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The text of each object.
    #[must_use]
    pub fn items(&self) -> Vec<&str> {
        let items: Vec<&RawValue> = serde_json::from_str(&self.0).unwrap_or_default();
        items.into_iter().map(RawValue::get).collect()
    }
}

impl ParseFromJSON for JsonObject {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::String(text)) => Ok(Self(text)),
            Some(value @ Value::Object(_)) => Ok(Self(value.to_string())),
            other => Err(ParseError::expected_type(other.unwrap_or_default())),
        }
    }
}

impl ParseFromJSON for JsonList {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let items: Vec<JsonObject> =
            ParseFromJSON::parse_from_json(value).map_err(ParseError::propagate)?;
        let items: Vec<String> = items.into_iter().map(|item| item.0).collect();
        Ok(Self(format!("[{}]", items.join(","))))
    }
}

/// Whether two texts are the same JSON: members in any order, white space and escapes in any form, and numbers of
/// the same digits. (`serde_json::Value` takes long numbers for the same that differ.)
#[must_use]
pub fn is_same(text: &str, other: &str) -> bool {
    fn parsed<'t, T: serde::Deserialize<'t>>(text: &'t str, other: &'t str) -> Option<(T, T)> {
        Some((
            serde_json::from_str(text).ok()?,
            serde_json::from_str(other).ok()?,
        ))
    }
    let same = |(one, two): (&&RawValue, &&RawValue)| is_same(one.get(), two.get());
    let (text, other) = (text.trim(), other.trim());
    text == other
        || match (text.as_bytes().first(), other.as_bytes().first()) {
            (Some(b'{'), Some(b'{')) => parsed::<BTreeMap<String, &RawValue>>(text, other)
                .is_some_and(|(one, two)| {
                    one.keys().eq(two.keys()) && one.values().zip(two.values()).all(same)
                }),
            (Some(b'['), Some(b'[')) => parsed::<Vec<&RawValue>>(text, other)
                .is_some_and(|(one, two)| one.len() == two.len() && one.iter().zip(&two).all(same)),
            (Some(b'"'), Some(b'"')) => {
                parsed::<String>(text, other).is_some_and(|(one, two)| one == two)
            }
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_the_same_whatever_the_order_of_its_members_and_not_whatever_its_digits() {
        for (one, two, same) in [
            (
                r#"{"a":1,"b":[1.5,{}]}"#,
                r#" {"b" : [1.5, {}], "\u0061":1} "#,
                true,
            ),
            (r#"["\u00e9"]"#, r#"["é"]"#, true),
            ("[1]", "[1.0]", false),
            (
                "[12345678901234567890123]",
                "[12345678901234567890124]",
                false,
            ),
            ("[1,2]", "[2,1]", false),
            ("[1]", "[1,2]", false),
            (r#"{"a":1}"#, r#"{"b":1}"#, false),
            (r#"{"a":null}"#, "{}", false),
            (r#"["1"]"#, "[1]", false),
        ] {
            assert_eq!(is_same(one, two), same, "{one} {two}");
        }
    }
}
