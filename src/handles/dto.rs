//! What a handle looks like on the wire.

use std::fmt;

use entity::values::{AgentStatus, CircleStatus, JsonObject, MemberRole, StringList};
use poem_openapi::{Enum, Object};
use serde::Serialize;

use crate::rows::{Json, Text};

/// The handles of a circle's active members, in the roster's order.
#[derive(Debug, Object, Serialize)]
pub(crate) struct CircleHandles<'r> {
    /// The circle's id.
    pub(crate) circle_id: i64,
    /// The circle's name.
    pub(crate) circle: Text<'r>,
    /// Whether the circle is at work.
    pub(crate) status: CircleStatus,
    /// Whether work must be reviewed by a member who can review it.
    pub(crate) require_review: bool,
    /// One handle for each active member.
    pub(crate) handles: Vec<Handle<'r>>,
    /// Problems of the circle as a whole. Problems of a member are in its handle.
    pub(crate) warnings: Vec<Warning>,
}

/// Everything that a runtime needs to start an agent: each setting resolved, with its origin.
#[derive(Debug, Object, Serialize)]
pub(crate) struct Handle<'r> {
    /// The agent's id.
    pub(crate) agent_id: i64,
    /// The agent's name.
    pub(crate) agent_name: Text<'r>,
    /// A short description of what the agent is.
    #[oai(nullable)]
    pub(crate) agent_role: Option<Text<'r>>,
    /// When to use the agent, and for what.
    #[oai(nullable)]
    pub(crate) agent_description: Option<Text<'r>>,
    /// What the agent is doing.
    pub(crate) agent_status: AgentStatus,
    /// The membership's id; null outside a circle.
    #[oai(nullable)]
    pub(crate) member_id: Option<i64>,
    /// The agent's role in the circle; null outside a circle.
    #[oai(nullable)]
    pub(crate) role: Option<MemberRole>,
    /// The fields that the agent is competent in: the member's, or the agent's if the member has none.
    pub(crate) competencies: Json<'r, StringList>,
    /// The fields in which the agent may review: the member's, or the agent's if the member has none.
    pub(crate) can_review: Json<'r, StringList>,
    /// What the agent may do in the circle; empty outside a circle.
    pub(crate) permissions: Json<'r, JsonObject>,
    /// The provider's handle. Null without a model, like all fields of the provider and the model.
    #[oai(nullable)]
    pub(crate) provider: Option<Text<'r>>,
    /// Wire protocol that the provider's API speaks.
    #[oai(nullable)]
    pub(crate) api_type: Option<Text<'r>>,
    /// Address of the provider's API.
    #[oai(nullable)]
    pub(crate) base_url: Option<Text<'r>>,
    /// NAME of the environment variable that holds the key.
    #[oai(nullable)]
    pub(crate) api_key_env: Option<Text<'r>>,
    /// Name of the model in the provider's API.
    #[oai(nullable)]
    pub(crate) model: Option<Text<'r>>,
    /// The model's maximum input, in tokens.
    #[oai(nullable)]
    pub(crate) context_window: Option<i64>,
    /// The model's maximum output, in tokens.
    #[oai(nullable)]
    pub(crate) max_output: Option<i64>,
    /// The model's capabilities.
    #[oai(nullable)]
    pub(crate) capabilities: Option<Capabilities>,
    /// Sampling temperature: the first that is set of the member's, the agent's and the model's.
    #[oai(nullable)]
    pub(crate) temperature: Option<f64>,
    /// Maximum output, in tokens: the first that is set of the member's, the agent's and the model's.
    #[oai(nullable)]
    pub(crate) max_tokens: Option<i64>,
    /// Names of the agent's skills.
    pub(crate) skill_names: Json<'r, StringList>,
    /// The complete effective system prompt.
    pub(crate) system_prompt: String,
    /// The origin of each part.
    pub(crate) provenance: Provenance,
    /// Problems of this member.
    pub(crate) warnings: Vec<Warning>,
}

/// Capabilities of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Object, Serialize)]
pub(crate) struct Capabilities {
    /// Whether the model accepts images.
    pub(crate) vision: bool,
    /// Whether the model calls tools.
    pub(crate) tools: bool,
    /// Whether the model can stream its output.
    pub(crate) streaming: bool,
    /// Whether the model reasons before it responds.
    pub(crate) reasoning: bool,
}

/// The origins of the parts of a handle.
#[derive(Clone, Debug, PartialEq, Eq, Object, Serialize)]
pub(crate) struct Provenance {
    /// The parts of the system prompt, in order. They cover all of it except the blank lines between them.
    pub(crate) system_prompt: Vec<PromptPart>,
    /// The origin of the temperature; null if none is set.
    #[oai(nullable)]
    pub(crate) temperature: Option<Layer>,
    /// The origin of the maximum output; null if none is set.
    #[oai(nullable)]
    pub(crate) max_tokens: Option<Layer>,
    /// The origin of the competencies; null if there are none.
    #[oai(nullable)]
    pub(crate) competencies: Option<Layer>,
    /// The origin of the fields of review; null if there are none.
    #[oai(nullable)]
    pub(crate) can_review: Option<Layer>,
}

/// A part of the system prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Object, Serialize)]
pub(crate) struct PromptPart {
    /// The part's origin.
    pub(crate) source: PromptSource,
    /// Offset of the part in the system prompt, in Unicode characters.
    pub(crate) start: u32,
    /// Length of the part, in Unicode characters.
    pub(crate) length: u32,
}

/// The origin of a part of a system prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(crate) enum PromptSource {
    /// The agent's `system_prompt`.
    AgentSystemPrompt,
    /// The agent's `base_prompt`, because it has no system prompt.
    AgentBasePrompt,
    /// A default text that names the agent, which has no prompt.
    Default,
    /// The circle's `settings.instructions`.
    CircleInstructions,
    /// The circle's `project_context`.
    CircleProjectContext,
    /// The agent's `skill_names`.
    AgentSkills,
}

/// The origin of a setting, the most specific first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(crate) enum Layer {
    /// The membership's id.
    Member,
    /// The agent's id.
    Agent,
    /// The model.
    Model,
}

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
    /// The provider is not local and has no `api_key_env`.
    NoKeyVariable,
    /// The system prompt alone is longer than the model's context window, at an estimated four ASCII
    /// characters a token, three of other alphabets, or one and a half of Chinese, Japanese and Korean.
    PromptOverContext,
    /// The provider's `api_type` is `unknown`, so a runtime can't know how to call it.
    UnknownApiType,
    /// The provider has no `base_url`.
    NoAddress,
    /// `max_tokens` is greater than the model's `max_output`.
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
