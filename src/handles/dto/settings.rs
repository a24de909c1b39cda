//! Settings of calls to a model, where they come from, and what is left out of them.

use std::collections::BTreeMap;

use entity::{params::ModelParams, values::JsonObject};
use poem_openapi::{Enum, Object};
use serde::Serialize;

use super::{Capabilities, PromptPart};
use crate::rows::{Json, Text};

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
    /// The origin of each parameter in `params`; those in `extra` are named `extra.NAME`.
    pub(crate) params: BTreeMap<String, Layer>,
    /// The origin of the competencies; null if there are none.
    #[oai(nullable)]
    pub(crate) competencies: Option<Layer>,
    /// The origin of the fields of review; null if there are none.
    #[oai(nullable)]
    pub(crate) can_review: Option<Layer>,
}

/// The origin of a setting, the most specific first.
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

/// A setting that the model would reject, and that the handle leaves out.
#[derive(Clone, Debug, PartialEq, Eq, Object, Serialize)]
pub(crate) struct Omitted {
    /// `temperature`, `max_tokens`, or the name of a parameter.
    pub(crate) name: String,
    /// The origin of the value that is left out.
    pub(crate) source: Layer,
    /// Why the model would reject it.
    pub(crate) reason: Omission,
}

/// Why a model rejects a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(crate) enum Omission {
    /// The model accepts no parameters of sampling.
    NoSampling,
    /// The model does not reason.
    NoReasoning,
    /// The effort is not one of the model's `reasoning_efforts`.
    UnknownEffort,
    /// The model calls no tools, or the agent has none.
    NoTools,
    /// The model can't keep its output to a JSON Schema.
    NoResponseSchema,
    /// It is greater than the model's `max_output`.
    OverMaxOutput,
}

/// A model to try if the agent's model fails, with the settings for calls to it.
#[derive(Debug, Object, Serialize)]
pub(crate) struct Fallback<'r> {
    /// The provider's handle.
    pub(crate) provider: Text<'r>,
    /// Wire protocol that the provider's API speaks.
    pub(crate) api_type: Text<'r>,
    /// Address of the provider's API.
    #[oai(nullable)]
    pub(crate) base_url: Option<Text<'r>>,
    /// NAME of the environment variable that holds the key.
    #[oai(nullable)]
    pub(crate) api_key_env: Option<Text<'r>>,
    /// The provider's further settings, interpreted by the runtime.
    pub(crate) provider_config: Json<'r, JsonObject>,
    /// Name of the model in the provider's API.
    pub(crate) model: Text<'r>,
    /// The model's maximum input, in tokens.
    #[oai(nullable)]
    pub(crate) context_window: Option<i64>,
    /// The model's maximum output, in tokens.
    #[oai(nullable)]
    pub(crate) max_output: Option<i64>,
    /// The model's capabilities.
    pub(crate) capabilities: Capabilities,
    /// Sampling temperature, if the model accepts any.
    #[oai(nullable)]
    pub(crate) temperature: Option<f64>,
    /// Maximum output, in tokens.
    #[oai(nullable)]
    pub(crate) max_tokens: Option<i64>,
    /// Further parameters of calls to the model.
    pub(crate) params: Json<'r, ModelParams>,
    /// Settings that this model would reject.
    pub(crate) omitted: Vec<Omitted>,
}
