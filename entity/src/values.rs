//! Column types: closed enums, JSON lists and JSON objects.
//!
//! The API uses the same types, so each carries its OpenAPI schema: a change of a bound or a variant
//! here changes `openapi.json`.

use std::{borrow::Cow, fmt};

use chrono::{DateTime, SubsecRound, Utc};
use poem_openapi::{
    Enum,
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use sea_orm::{DeriveActiveEnum, EnumIter, FromJsonQueryResult};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::free_json::{JsonList, JsonObject};

/// The current time, truncated to the microseconds that both databases store.
#[must_use]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// A time as both databases store it: digits beyond microseconds are cut off, and a leap second is the second after
/// it. `None` if that is out of range.
#[must_use]
pub fn stored(time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(time.timestamp_micros())
}

/// What an agent is doing.
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
pub enum AgentStatus {
    /// Ready for work.
    #[default]
    Idle,
    /// Working.
    Busy,
    /// Not reachable.
    Offline,
}

/// Whether a circle is working.
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
    /// Not working; the status of a new circle.
    #[default]
    Stopped,
    /// Working.
    Running,
    /// Started, but on hold.
    Paused,
}

/// Who speaks next in a conversation.
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
pub enum TurnStrategy {
    /// The participants, one after the other.
    RoundRobin,
    /// The participants that the last message mentions; any participant if it mentions none.
    MentionBased,
    /// Any participant.
    #[default]
    FreeForm,
}

/// Whether messages can be appended to a conversation.
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
pub enum ConversationStatus {
    /// Messages can be appended.
    #[default]
    Active,
    /// On hold: no message can be appended until it is active again.
    Paused,
    /// Finished.
    Completed,
}

/// Who wrote a message.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Enum, Serialize, Deserialize,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum Author {
    /// An agent that participates in the conversation.
    Agent,
    /// A person, or a program that acts for one.
    User,
    /// A tool, with the result of a call. Its name is the author's name.
    Tool,
    /// The program that runs the conversation.
    System,
}

/// A member's role in its circle. A roster lists members in this order.
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
    /// Consulted in one field.
    Specialist,
    /// Reviews the work of others.
    Reviewer,
    /// Only reads; listed last.
    Observer,
}

/// What an API key permits. `admin` includes all others, `publish` includes `write`, and `write` includes `read`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum Scope {
    /// Read everything except handles, keys and the audit trail.
    Read,
    /// Also change agents, circles, members, conversations, releases and labels that are not protected.
    Write,
    /// Also move protected labels, and say which labels are protected.
    Publish,
    /// Also change the catalogue of providers and models and MCP servers, and manage keys and webhooks.
    Admin,
    /// Only read the handles of agents and circles; meant for runtimes.
    Handles,
}

impl Scope {
    pub const ALL: [Self; 5] = [
        Self::Read,
        Self::Write,
        Self::Publish,
        Self::Admin,
        Self::Handles,
    ];

    /// The name in the API and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Publish => "publish",
            Self::Admin => "admin",
            Self::Handles => "handles",
        }
    }

    /// Whether this scope permits what the other one permits.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        match self {
            Self::Read | Self::Handles => other == self,
            Self::Write => matches!(other, Self::Read | Self::Write),
            Self::Publish => matches!(other, Self::Read | Self::Write | Self::Publish),
            Self::Admin => true,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The scopes of a key, each at most once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
#[serde(transparent)]
pub struct ScopeList(pub Vec<Scope>);

impl ScopeList {
    /// Whether any of the scopes includes this one.
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

/// Implements the schema of a list: an array of `item`, a [`MetaSchemaRef`].
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
                    items: Some(Box::new($item)),
                    max_items: Some($max),
                    ..MetaSchema::new("array")
                }))
            }

            fn register(registry: &mut Registry) {
                <$element>::register(registry);
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

list_type!(StringList of String, at most 100, MetaSchemaRef::Inline(Box::new(MetaSchema {
    min_length: Some(1),
    max_length: Some(200),
    ..MetaSchema::new("string")
})));

/// A list of ids: at most 500.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
#[serde(transparent)]
pub struct IdList(pub Vec<i64>);

list_type!(IdList of i64, at most 500, MetaSchemaRef::Inline(Box::new(MetaSchema {
    minimum: Some(1.0),
    ..MetaSchema::new_with_format("integer", "int64")
})));

/// A list of ids of models: at most 10.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
#[serde(transparent)]
pub struct FallbackList(pub Vec<i64>);

list_type!(FallbackList of i64, at most 10, MetaSchemaRef::Inline(Box::new(MetaSchema {
    minimum: Some(1.0),
    ..MetaSchema::new_with_format("integer", "int64")
})));

/// Texts that end a model's output: at most 16, each of 1 to 2,000 characters, of several lines if need be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StopList(pub Vec<String>);

list_type!(StopList of String, at most 16, MetaSchemaRef::Inline(Box::new(MetaSchema {
    min_length: Some(1),
    max_length: Some(2000),
    ..MetaSchema::new("string")
})));

/// How the runtime reaches an MCP server.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Enum, Serialize, Deserialize,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum Transport {
    /// The runtime starts the server with its command.
    Stdio,
    /// Streamable HTTP, at the server's address.
    StreamableHttp,
    /// Server-sent events, at the server's address: the transport before streamable HTTP.
    Sse,
}

/// Implements JSON input and output through serde, for the types with a schema written by hand.
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

json_by_serde!(StringList, IdList, FallbackList, StopList);

pub(crate) use {json_by_serde, list_type};
