//! What a handle looks like on the wire.

use std::fmt;

use entity::values::{AgentStatus, CircleStatus, JsonObject, MemberRole, StringList};
use poem_openapi::{Enum, Object};
use serde::Serialize;

/// The handles of a circle's active members, in the roster's order.
#[derive(Debug, Object, Serialize)]
pub(crate) struct CircleHandles {
    /// The circle's id.
    pub(crate) circle_id: i64,
    /// The circle's name.
    pub(crate) circle: String,
    /// Whether the circle is at work.
    pub(crate) status: CircleStatus,
    /// Whether work must be reviewed by a member who may.
    pub(crate) require_review: bool,
    /// One for each active member.
    pub(crate) handles: Vec<Handle>,
    /// What is wrong with the circle as a whole; what is wrong with one member is in its handle.
    pub(crate) warnings: Vec<Warning>,
}

/// All that a runtime needs to start an agent: every setting resolved, and where it came from.
#[derive(Debug, Object, Serialize)]
pub(crate) struct Handle {
    /// The agent.
    pub(crate) agent_id: i64,
    /// The agent's name.
    pub(crate) agent_name: String,
    /// What the agent is, in its own words.
    #[oai(nullable)]
    pub(crate) agent_role: Option<String>,
    /// What the agent is doing.
    pub(crate) agent_status: AgentStatus,
    /// The membership; null outside a circle.
    #[oai(nullable)]
    pub(crate) member_id: Option<i64>,
    /// What the agent is in the circle; null outside one.
    #[oai(nullable)]
    pub(crate) role: Option<MemberRole>,
    /// Fields it is good at: the member's, or else the agent's.
    pub(crate) competencies: StringList,
    /// Fields in which it may review: the member's, or else the agent's.
    pub(crate) can_review: StringList,
    /// What it may do in the circle; empty outside one.
    pub(crate) permissions: JsonObject,
    /// The handle of the provider; null without a model, like all of provider and model.
    #[oai(nullable)]
    pub(crate) provider: Option<String>,
    /// Wire protocol that the provider's API speaks.
    #[oai(nullable)]
    pub(crate) api_type: Option<String>,
    /// Where the provider's API is.
    #[oai(nullable)]
    pub(crate) base_url: Option<String>,
    /// NAME of the environment variable that holds the key.
    #[oai(nullable)]
    pub(crate) api_key_env: Option<String>,
    /// What the provider's API calls the model.
    #[oai(nullable)]
    pub(crate) model: Option<String>,
    /// The most input the model takes, in tokens.
    #[oai(nullable)]
    pub(crate) context_window: Option<i64>,
    /// The most output the model gives, in tokens.
    #[oai(nullable)]
    pub(crate) max_output: Option<i64>,
    /// What the model can do.
    #[oai(nullable)]
    pub(crate) capabilities: Option<Capabilities>,
    /// Sampling temperature: the member's, or else the agent's, or else the model's.
    #[oai(nullable)]
    pub(crate) temperature: Option<f64>,
    /// The most output, in tokens: the member's, or else the agent's, or else the model's.
    #[oai(nullable)]
    pub(crate) max_tokens: Option<i64>,
    /// The agent's skills.
    pub(crate) skill_names: StringList,
    /// The effective system prompt, whole.
    pub(crate) system_prompt: String,
    /// Where each part came from.
    pub(crate) provenance: Provenance,
    /// What is wrong with this member.
    pub(crate) warnings: Vec<Warning>,
}

/// What a model can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Object, Serialize)]
pub(crate) struct Capabilities {
    /// Whether it takes images.
    pub(crate) vision: bool,
    /// Whether it calls tools.
    pub(crate) tools: bool,
    /// Whether it can answer in a stream.
    pub(crate) streaming: bool,
    /// Whether it reasons before it answers.
    pub(crate) reasoning: bool,
}

/// Where the parts of a handle came from.
#[derive(Clone, Debug, PartialEq, Eq, Object, Serialize)]
pub(crate) struct Provenance {
    /// The parts of the system prompt, in their order. They cover all of it but the blank lines in
    /// between.
    pub(crate) system_prompt: Vec<PromptPart>,
    /// Who said the temperature; null where nobody did.
    #[oai(nullable)]
    pub(crate) temperature: Option<Layer>,
    /// Who said the most output; null where nobody did.
    #[oai(nullable)]
    pub(crate) max_tokens: Option<Layer>,
    /// Whose competencies they are; null where there are none.
    #[oai(nullable)]
    pub(crate) competencies: Option<Layer>,
    /// Whose fields of review they are; null where there are none.
    #[oai(nullable)]
    pub(crate) can_review: Option<Layer>,
}

/// A part of the system prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Object, Serialize)]
pub(crate) struct PromptPart {
    /// Where it came from.
    pub(crate) source: PromptSource,
    /// Where it begins in the system prompt, in Unicode characters.
    pub(crate) start: u32,
    /// How long it is, in Unicode characters.
    pub(crate) length: u32,
}

/// Where a part of a system prompt came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(crate) enum PromptSource {
    /// The agent's `system_prompt`.
    AgentSystemPrompt,
    /// The agent's `base_prompt`; it has no system prompt.
    AgentBasePrompt,
    /// The service's own words, which name the agent; it has no prompt.
    Default,
    /// The circle's `settings.instructions`.
    CircleInstructions,
    /// The circle's `project_context`.
    CircleProjectContext,
    /// The agent's `skill_names`.
    AgentSkills,
}

/// Who has said something, nearest to the work first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(crate) enum Layer {
    /// The membership.
    Member,
    /// The agent.
    Agent,
    /// The model.
    Model,
}

/// Something that will trouble whoever runs the circle.
#[derive(Clone, Debug, PartialEq, Eq, Object, Serialize)]
pub struct Warning {
    /// What it is, for programs.
    pub code: WarningCode,
    /// What it is, for people.
    pub detail: String,
    /// The agent it is about; null where it is about the circle.
    #[oai(nullable)]
    pub agent_id: Option<i64>,
}

/// What can trouble whoever runs a circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum WarningCode {
    /// The agent has no model.
    NoModel,
    /// The model is deprecated, or past its deprecation date.
    ModelDeprecated,
    /// The provider is not local, and no variable is named that holds its key.
    NoKeyVariable,
    /// The system prompt alone is longer than the model's context window, at an estimated four
    /// characters a token.
    PromptOverContext,
    /// Work must be reviewed, and no active member may review.
    NoReviewer,
    /// The circle has more active members than it may have.
    OverMaxMembers,
}

/// As it is on the wire.
impl fmt::Display for WarningCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// What is wrong with a circle and its members.
#[derive(Clone, Debug, PartialEq, Eq, Object, Serialize)]
pub struct Lint {
    /// The circle's name.
    pub circle: String,
    /// Whether nothing is wrong.
    pub ok: bool,
    /// What is wrong: with the circle first, then with its members in the roster's order.
    pub warnings: Vec<Warning>,
}
