//! What a handle looks like on the wire.

mod settings;
mod tools;
mod warnings;

use entity::params::ModelParams;
use entity::values::{AgentStatus, CircleStatus, JsonObject, MemberRole, StringList};
use poem_openapi::{Enum, Object};
use serde::Serialize;

use crate::rows::{Json, Text};

pub(crate) use settings::{Fallback, Layer, Omission, Omitted, Provenance};
pub(crate) use tools::{HandleServer, HandleTool};
pub use warnings::{Lint, Warning, WarningCode};

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
    /// The circle's settings, interpreted by the runtime. `instructions` is part of every prompt.
    pub(crate) settings: Json<'r, JsonObject>,
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
    /// The version of the agent; 0 if none is recorded.
    pub(crate) agent_version: i64,
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
    /// The provider's further settings, interpreted by the runtime.
    #[oai(nullable)]
    pub(crate) provider_config: Option<Json<'r, JsonObject>>,
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
    /// Sampling temperature: the first that is set of the member's, the agent's and the model's. Null if none is, or the
    /// model accepts no sampling.
    #[oai(nullable)]
    pub(crate) temperature: Option<f64>,
    /// Maximum output, in tokens: the first that is set of the member's, the agent's and the model's, and not greater than
    /// the model's.
    #[oai(nullable)]
    pub(crate) max_tokens: Option<i64>,
    /// Further parameters of calls to the model, each the first that is set of the member's, the agent's and the model's.
    pub(crate) params: Json<'r, ModelParams>,
    /// Settings that the model would reject. They are neither in `temperature` and `max_tokens` nor in `params`.
    pub(crate) omitted: Vec<Omitted>,
    /// The tools that the agent may use, with the addresses of their servers.
    pub(crate) tools: Vec<HandleTool<'r>>,
    /// The models to try if this one fails, in this order.
    pub(crate) fallbacks: Vec<Fallback<'r>>,
    /// Attributes for the runtime's traces, by OpenTelemetry's semantic conventions for generative AI.
    pub(crate) attributes: Attributes<'r>,
    /// Names of the agent's skills.
    pub(crate) skill_names: Json<'r, StringList>,
    /// Character traits, which are not part of the prompt.
    pub(crate) traits: Json<'r, StringList>,
    /// Languages that the agent speaks, which are not part of the prompt.
    pub(crate) languages: Json<'r, StringList>,
    /// Style of communication, which is not part of the prompt.
    #[oai(nullable)]
    pub(crate) communication_style: Option<Text<'r>>,
    /// The agent's further data, interpreted by the runtime.
    pub(crate) metadata: Json<'r, JsonObject>,
    /// The complete effective system prompt.
    pub(crate) system_prompt: String,
    /// The origin of each part.
    pub(crate) provenance: Provenance,
    /// Problems of this member.
    pub(crate) warnings: Vec<Warning>,
}

/// Attributes of traces, by OpenTelemetry's semantic conventions for generative AI (version 1.38).
#[derive(Debug, Object, Serialize)]
pub(crate) struct Attributes<'r> {
    /// The agent's id.
    #[oai(rename = "gen_ai.agent.id")]
    #[serde(rename = "gen_ai.agent.id")]
    pub(crate) agent_id: String,
    /// The agent's name.
    #[oai(rename = "gen_ai.agent.name")]
    #[serde(rename = "gen_ai.agent.name")]
    pub(crate) agent_name: Text<'r>,
    /// The version of the agent.
    #[oai(rename = "gen_ai.agent.version")]
    #[serde(rename = "gen_ai.agent.version")]
    pub(crate) agent_version: String,
    /// Name of the model in the provider's API.
    #[oai(rename = "gen_ai.request.model", nullable)]
    #[serde(rename = "gen_ai.request.model")]
    pub(crate) request_model: Option<Text<'r>>,
    /// The conventions' name of the provider, or the provider's handle if they have none.
    #[oai(rename = "gen_ai.provider.name", nullable)]
    #[serde(rename = "gen_ai.provider.name")]
    pub(crate) provider_name: Option<Text<'r>>,
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
    /// Whether the model can keep its output to a JSON Schema.
    pub(crate) response_schema: bool,
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
