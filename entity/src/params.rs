//! Parameters of calls to a model: the column, and what the API shows of it.

use poem_openapi::{
    Object,
    types::{ParseError, ParseFromJSON, ParseResult},
};
use sea_orm::DeriveValueType;
use serde_json::{Map, Value};

use crate::{
    free_json::json_text,
    values::{JsonObject, StopList},
};

/// Parameters of calls to a model, besides the temperature and the maximum output. An absent one is left to the next
/// layer: the member's before the agent's before the model's.
#[derive(Clone, Debug, Object)]
#[oai(rename = "ModelParams")]
struct ParamFields {
    /// Sample from the most probable tokens that have this probability together.
    #[oai(
        nullable,
        skip_serializing_if_is_none,
        validator(minimum(value = "0"), maximum(value = "1"))
    )]
    top_p: Option<f64>,
    /// Sample from this many of the most probable tokens.
    #[oai(
        nullable,
        skip_serializing_if_is_none,
        validator(minimum(value = "0"), maximum(value = "1000000"))
    )]
    top_k: Option<i64>,
    /// Sample from the tokens that are at least this share as probable as the most probable one.
    #[oai(
        nullable,
        skip_serializing_if_is_none,
        validator(minimum(value = "0"), maximum(value = "1"))
    )]
    min_p: Option<f64>,
    /// Makes tokens less probable the more often they have occurred.
    #[oai(
        nullable,
        skip_serializing_if_is_none,
        validator(minimum(value = "-2"), maximum(value = "2"))
    )]
    frequency_penalty: Option<f64>,
    /// Makes tokens less probable that have occurred.
    #[oai(
        nullable,
        skip_serializing_if_is_none,
        validator(minimum(value = "-2"), maximum(value = "2"))
    )]
    presence_penalty: Option<f64>,
    /// Makes sampling repeatable, as far as the provider can.
    #[oai(
        nullable,
        skip_serializing_if_is_none,
        validator(
            minimum(value = "-9007199254740991"),
            maximum(value = "9007199254740991")
        )
    )]
    seed: Option<i64>,
    /// Texts that end the output.
    #[oai(nullable, skip_serializing_if_is_none)]
    stop: Option<StopList>,
    /// How much a reasoning model reasons, in the provider's word, as `low` or `high`.
    #[oai(
        nullable,
        skip_serializing_if_is_none,
        validator(max_length = 64, pattern = "^[a-z0-9][a-z0-9_-]*$")
    )]
    reasoning_effort: Option<String>,
    /// How many tokens a reasoning model may reason for; 0 for none, -1 for as many as the model decides.
    #[oai(
        nullable,
        skip_serializing_if_is_none,
        validator(minimum(value = "-1"), maximum(value = "1000000000"))
    )]
    thinking_budget: Option<i64>,
    /// Whether the model may call several tools at once.
    #[oai(nullable, skip_serializing_if_is_none)]
    parallel_tool_calls: Option<bool>,
    /// The form of the output, as in OpenAI's API: `{"type": "text"}`, `{"type": "json_object"}`, or
    /// `{"type": "json_schema", "json_schema": {…}}`.
    #[oai(nullable, skip_serializing_if_is_none)]
    response_format: Option<JsonObject>,
    /// Further parameters, passed to the provider's API as they are. Secrets of known forms are rejected.
    #[oai(nullable, skip_serializing_if_is_none)]
    extra: Option<JsonObject>,
}

/// The parameters that are free JSON, which a validated body holds as a string.
const FREE: [&str; 2] = ["response_format", "extra"];

/// Parameters as text: an object without null members.
#[derive(Clone, Debug, PartialEq, Eq, DeriveValueType)]
#[sea_orm(column_type = "Json")]
pub struct ModelParams(String);

json_text!(
    ModelParams,
    "{}",
    Self,
    ParamFields::schema_ref(),
    ParamFields
);

impl ModelParams {
    fn of(members: Map<String, Value>) -> Self {
        let set = members.into_iter().filter(|(_, value)| !value.is_null());
        let text = |(name, value): (String, Value)| match value {
            Value::String(text) if FREE.contains(&&*name) => format!("\"{name}\":{text}"),
            value => format!("\"{name}\":{value}"),
        };
        let members: Vec<String> = set.map(text).collect();
        Self(format!("{{{}}}", members.join(",")))
    }
}

impl ParseFromJSON for ModelParams {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        ParamFields::parse_from_json(value.clone()).map_err(ParseError::propagate)?;
        match value {
            Some(Value::Object(members)) => Ok(Self::of(members)),
            other => Err(ParseError::expected_type(other.unwrap_or_default())),
        }
    }
}
