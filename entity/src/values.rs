//! Column values that need a type of their own: closed enums, JSON lists and JSON objects.
//!
//! The API shows these very types, so they carry their description for `openapi.json` too: a
//! bound or a member that changes here changes there.

use std::{borrow::Cow, fmt};

use chrono::{DateTime, SubsecRound, Utc};
use poem_openapi::{
    Enum,
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use sea_orm::{DeriveActiveEnum, EnumIter, FromJsonQueryResult};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The present moment, cut to the microseconds that both databases keep.
#[must_use]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// What an agent is doing.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, DeriveActiveEnum, Enum, Serialize,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum AgentStatus {
    /// Ready for work.
    #[default]
    Idle,
    /// At work.
    Busy,
    /// Not reachable.
    Offline,
}

/// Whether a circle is at work.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    EnumIter,
    DeriveActiveEnum,
    Enum,
    Serialize,
    Deserialize,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum CircleStatus {
    /// Not at work; the state of a new circle.
    #[default]
    Stopped,
    /// At work.
    Running,
    /// Started, but holding still.
    Paused,
}

/// Who speaks next in a conversation.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, DeriveActiveEnum, Enum, Serialize,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum TurnStrategy {
    /// One participant after the other.
    RoundRobin,
    /// Those whom the last message mentions; anyone where it mentions nobody.
    MentionBased,
    /// Anyone.
    #[default]
    FreeForm,
}

/// Whether a conversation goes on.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, DeriveActiveEnum, Enum, Serialize,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum ConversationStatus {
    /// Messages can be appended.
    #[default]
    Active,
    /// Holding still: nothing can be appended until it is active again.
    Paused,
    /// Over.
    Completed,
}

/// Who wrote a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Enum, Serialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum Author {
    /// An agent that takes part in the conversation.
    Agent,
    /// A person, or a program on a person's behalf.
    User,
}

/// What a member is in its circle, in the order in which a roster lists them.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    EnumIter,
    DeriveActiveEnum,
    Enum,
    Serialize,
    Deserialize,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum MemberRole {
    /// Leads the circle; listed first.
    Lead,
    /// Takes part in the circle's work.
    #[default]
    Member,
    /// Called on for one field.
    Specialist,
    /// Reviews the work of others.
    Reviewer,
    /// Reads along; listed last.
    Observer,
}

/// What an API key is good for. `admin` includes `write` and `handles`, `write` includes `read`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum Scope {
    /// Read everything but handles, keys and the audit trail.
    Read,
    /// Also change agents, circles, members and conversations.
    Write,
    /// Also change the catalogue of providers and models, and manage keys.
    Admin,
    /// Read the handles of agents and circles, and nothing else: for runtimes.
    Handles,
}

impl Scope {
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Admin, Self::Handles];

    /// Its name, as it is written everywhere.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
            Self::Handles => "handles",
        }
    }

    /// Whether who has this scope may do what needs the other.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        match self {
            Self::Read | Self::Handles => other == self,
            Self::Write => matches!(other, Self::Read | Self::Write),
            Self::Admin => true,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The scopes of a key: at most one of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
#[serde(transparent)]
pub struct ScopeList(pub Vec<Scope>);

impl ScopeList {
    /// Whether any of them includes this one.
    #[must_use]
    pub fn include(&self, scope: Scope) -> bool {
        self.0.iter().any(|own| own.includes(scope))
    }
}

impl fmt::Display for ScopeList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|scope| scope.name()).collect();
        f.write_str(&names.join(", "))
    }
}

/// A list of short strings: at most 100, each of 1 to 200 characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
#[serde(transparent)]
pub struct StringList(pub Vec<String>);

/// A JSON object whose members are the caller's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, FromJsonQueryResult)]
#[serde(transparent)]
pub struct JsonObject(pub serde_json::Map<String, Value>);

impl Type for JsonObject {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "JsonObject".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            additional_properties: Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema::ANY)))),
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

/// A list whose description is an array of `item`.
macro_rules! list_type {
    ($ty:ident of $element:ty, at most $max:literal, $item:expr) => {
        impl Type for $ty {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = $element;

            fn name() -> Cow<'static, str> {
                stringify!($ty).into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new(MetaSchema {
                    items: Some(Box::new(MetaSchemaRef::Inline(Box::new($item)))),
                    max_items: Some($max),
                    ..MetaSchema::new("array")
                }))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a $element> + 'a> {
                Box::new(self.0.iter())
            }
        }
    };
}

list_type!(StringList of String, at most 100, MetaSchema {
    min_length: Some(1),
    max_length: Some(200),
    ..MetaSchema::new("string")
});

/// A list of ids: at most 500.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
#[serde(transparent)]
pub struct IdList(pub Vec<i64>);

list_type!(IdList of i64, at most 500, MetaSchema {
    minimum: Some(1.0),
    ..MetaSchema::new_with_format("integer", "int64")
});

/// A list of JSON objects whose members are the caller's own: at most 100.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, FromJsonQueryResult)]
#[serde(transparent)]
pub struct JsonList(pub Vec<JsonObject>);

list_type!(JsonList of JsonObject, at most 100, match JsonObject::schema_ref() {
    MetaSchemaRef::Inline(schema) => *schema,
    MetaSchemaRef::Reference(_) => MetaSchema::new("object"),
});

/// JSON in and out by way of serde, for the types whose description is written by hand above.
macro_rules! json_by_serde {
    ($($ty:ty),*) => {$(
        impl ParseFromJSON for $ty {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                serde_json::from_value(value.unwrap_or_default()).map_err(ParseError::custom)
            }
        }

        impl ToJSON for $ty {
            fn to_json(&self) -> Option<Value> {
                serde_json::to_value(self).ok()
            }
        }
    )*};
}

json_by_serde!(StringList, IdList, JsonList, JsonObject);
