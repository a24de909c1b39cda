//! What is on the wire, borrowed from the rows.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A failure, told by its status alone; the cause goes to the log.
pub struct Failure(pub StatusCode);

pub const NOT_FOUND: Failure = Failure(StatusCode::NOT_FOUND);

impl<E: std::error::Error> From<E> for Failure {
    fn from(cause: E) -> Self {
        eprintln!("{cause}");
        Self(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

pub fn json(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}

/// A moment: decoded from PostgreSQL, a text as it stands from SQLite.
#[derive(Clone, Copy, Serialize)]
#[serde(untagged)]
pub enum Moment<'a> {
    Decoded(DateTime<Utc>),
    Text(&'a str),
}

#[derive(Serialize)]
pub struct Circle<'a> {
    pub id: i64,
    pub name: &'a str,
    pub display_name: Option<&'a str>,
    pub description: Option<&'a str>,
    pub status: &'a str,
    pub require_review: bool,
    pub auto_route: bool,
    pub max_members: Option<i32>,
    pub settings: &'a RawValue,
    pub project_context: Option<&'a str>,
    pub is_active: bool,
    pub started_at: Option<Moment<'a>>,
    pub stopped_at: Option<Moment<'a>>,
    pub created_at: Moment<'a>,
    pub updated_at: Moment<'a>,
    pub protected_labels: &'a RawValue,
    pub member_count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<RosterMember<'a>>>,
}

#[derive(Serialize)]
pub struct RosterMember<'a> {
    pub member_id: i64,
    pub agent_id: i64,
    pub role: &'a str,
    pub is_active: bool,
    pub joined_at: Moment<'a>,
    pub competencies: &'a RawValue,
    pub can_review: &'a RawValue,
    pub permissions: &'a RawValue,
    pub agent_name: &'a str,
    pub agent_role: Option<&'a str>,
    pub system_prompt: Option<&'a str>,
    pub base_prompt: Option<&'a str>,
    pub skill_names: &'a RawValue,
    pub agent_status: &'a str,
    pub temperature: Option<f64>,
    pub max_tokens: Option<i64>,
    pub model_id: Option<i64>,
    pub model_name: Option<&'a str>,
    pub model_alias: Option<&'a str>,
    pub provider_id: Option<i64>,
    pub provider_name: Option<&'a str>,
    pub provider_api_type: Option<&'a str>,
}

/// The place of a role in a roster.
pub fn rank(role: &str) -> usize {
    let roles = ["lead", "member", "specialist", "reviewer", "observer"];
    roles.iter().position(|known| *known == role).unwrap_or(roles.len())
}

#[derive(Serialize)]
pub struct Member<'a> {
    pub id: i64,
    pub circle_id: i64,
    pub agent_id: i64,
    pub role: &'a str,
    pub competencies: &'a RawValue,
    pub can_review: &'a RawValue,
    pub permissions: &'a RawValue,
    pub temperature: Option<f64>,
    pub max_tokens: Option<i64>,
    pub params: &'a RawValue,
    pub is_active: bool,
    pub joined_at: DateTime<Utc>,
    pub left_at: Option<DateTime<Utc>>,
}

#[derive(Serialize)]
pub struct Model<'a> {
    pub id: i64,
    pub provider_id: i64,
    pub model_name: &'a str,
    pub catalog_key: Option<&'a str>,
    pub model_alias: Option<&'a str>,
    pub mode: Option<&'a str>,
    pub input_price: Option<Price>,
    pub output_price: Option<Price>,
    pub cache_read_price: Option<Price>,
    pub cache_write_price: Option<Price>,
    pub context_window: Option<i64>,
    pub max_output: Option<i64>,
    pub default_temperature: Option<f64>,
    pub default_params: &'a RawValue,
    pub supports_vision: bool,
    pub supports_tools: bool,
    pub supports_streaming: bool,
    pub supports_reasoning: bool,
    pub supports_response_schema: bool,
    pub supports_prompt_caching: bool,
    pub supports_pdf_input: bool,
    pub supports_audio_input: bool,
    pub supports_web_search: bool,
    pub supports_computer_use: bool,
    pub accepts_sampling: bool,
    pub reasoning_efforts: &'a RawValue,
    pub price_tiers: &'a RawValue,
    pub prices: &'a RawValue,
    pub price_source: Option<&'a str>,
    pub priced_at: Option<DateTime<Utc>>,
    pub pinned_fields: &'a RawValue,
    pub release_date: Option<NaiveDate>,
    pub deprecation_date: Option<NaiveDate>,
    pub is_deprecated: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Stored as a count of 10⁻¹⁰ dollars.
pub struct Price(pub i64);

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const UNIT: i64 = 10_000_000_000;
        serializer.collect_str(&format_args!("{}.{:010}", self.0 / UNIT, self.0 % UNIT))
    }
}

#[derive(Serialize)]
pub struct Page<T> {
    pub data: Vec<T>,
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Of rows that were fetched with one more than the limit.
    pub fn cut(mut data: Vec<T>, limit: usize, id: impl Fn(&T) -> i64) -> Self {
        let more = data.len() > limit;
        data.truncate(limit);
        let next_cursor = data.last().filter(|_| more).map(|row| cursor(id(row)));
        Self { data, next_cursor }
    }
}

/// The cursors of a list are those of the service.
const VERSION: u8 = 1;

pub fn cursor(id: i64) -> String {
    let mut bytes = [VERSION; 9];
    bytes[1..].copy_from_slice(&id.to_be_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The id after which a page begins.
pub fn after(cursor: Option<&str>) -> Result<i64, Failure> {
    let Some(cursor) = cursor else { return Ok(0) };
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).unwrap_or_default();
    match bytes.split_first() {
        Some((&VERSION, id)) => id.try_into().ok().map(i64::from_be_bytes),
        _ => None,
    }
    .ok_or(Failure(StatusCode::UNPROCESSABLE_ENTITY))
}
