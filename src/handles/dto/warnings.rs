//! Warnings, and what lint answers.

use std::fmt;

use poem_openapi::{Enum, Object};
use serde::Serialize;

/// A problem of a circle or of one of its members.
#[derive(Clone, Debug, PartialEq, Eq, Object, Serialize)]
pub struct Warning {
    /// The kind of problem, for programs.
    pub code: WarningCode,
    /// A description of the problem, for people.
    pub detail: String,
    /// The agent with the problem; null if the circle has it.
    #[oai(nullable)]
    pub agent_id: Option<i64>,
}

/// The kinds of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum WarningCode {
    /// The agent has no model.
    NoModel,
    /// The model is deprecated, or past its deprecation date.
    ModelDeprecated,
    /// The provider will retire the model within 90 days.
    ModelRetiresSoon,
    /// The agent has tools, and the model calls none.
    ToolsNotSupported,
    /// The agent has a `response_format` with a JSON Schema, and the model can't keep its output to one.
    ResponseSchemaNotSupported,
    /// The provider is not local and has no `api_key_env`.
    NoKeyVariable,
    /// The system prompt alone is longer than the model's context window, at an estimated four ASCII
    /// characters a token, three of other alphabets, or one and a half of Chinese, Japanese and Korean.
    PromptOverContext,
    /// The provider's `api_type` is `unknown`, so a runtime can't know how to call it.
    UnknownApiType,
    /// The provider has no `base_url`.
    NoAddress,
    /// `max_tokens` is greater than the model's `max_output`, which takes its place.
    MaxTokensOverOutput,
    /// The model's `mode` is one that does not answer prompts, such as `embedding`.
    NotAChatModel,
    /// The circle's `settings.instructions` is not text, and is not part of any prompt.
    InstructionsNotText,
    /// The circle has no active members.
    EmptyCircle,
    /// Work must be reviewed, and no active member can review it.
    NoReviewer,
    /// The circle has more active members than `max_members`.
    OverMaxMembers,
}

/// The code as in JSON.
impl fmt::Display for WarningCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The problems of a circle and its members.
#[derive(Clone, Debug, PartialEq, Eq, Object, Serialize)]
pub struct Lint {
    /// The circle's name.
    pub circle: String,
    /// True if there are no problems.
    pub ok: bool,
    /// The problems: first those of the circle, then those of its members in the roster's order.
    pub warnings: Vec<Warning>,
}
