//! What a runtime builds an agent from.

use entity::{
    agent,
    params::ModelParams,
    tool::ToolList,
    values::{FallbackList, JsonObject, StringList},
};
use poem_openapi::Object;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, DbErr};
use serde::{Deserialize, Serialize};

use crate::{
    digest,
    rows::{self, Json, Text, row},
};

row! {
    /// What a runtime builds an agent from: everything that an agent has, but not what it is doing.
    #[derive(Debug, Object, Serialize, Deserialize)]
    #[oai(rename = "AgentDefinition")]
    pub(crate) struct AgentDefinitionRow<'r> of agent
    without id, status, is_active, created_at, updated_at, revision, version {
        /// Display name; need not be unique.
        pub(crate) name: Text<'r>,
        /// The name that another system has for the agent.
        #[oai(nullable)]
        pub(crate) external_id: Option<Text<'r>>,
        /// A short description of what the agent is, as `Rust reviewer`.
        #[oai(nullable)]
        pub(crate) role: Option<Text<'r>>,
        /// When to use the agent, and for what.
        #[oai(nullable)]
        pub(crate) description: Option<Text<'r>>,
        /// The system prompt.
        #[oai(nullable)]
        pub(crate) system_prompt: Option<Text<'r>>,
        /// The prompt that is used if there is no system prompt.
        #[oai(nullable)]
        pub(crate) base_prompt: Option<Text<'r>>,
        /// Names of the agent's skills.
        #[serde(borrow)]
        pub(crate) skill_names: Json<'r, StringList>,
        /// The fields that the agent is competent in.
        #[serde(borrow)]
        pub(crate) competencies: Json<'r, StringList>,
        /// The fields in which the agent may review the work of others.
        #[serde(borrow)]
        pub(crate) can_review: Json<'r, StringList>,
        /// Character traits.
        #[serde(borrow)]
        pub(crate) traits: Json<'r, StringList>,
        /// Languages that the agent speaks.
        #[serde(borrow)]
        pub(crate) languages: Json<'r, StringList>,
        /// Style of communication.
        #[oai(nullable)]
        pub(crate) communication_style: Option<Text<'r>>,
        /// Sampling temperature, from 0 to 2; null for the model's default.
        #[oai(nullable)]
        pub(crate) temperature: Option<f64>,
        /// Maximum output, in tokens; null for the model's.
        #[oai(nullable)]
        pub(crate) max_tokens: Option<i64>,
        /// Further parameters of calls to the model.
        #[serde(borrow)]
        pub(crate) params: Json<'r, ModelParams>,
        /// The model that the agent runs on.
        #[oai(nullable)]
        pub(crate) model_id: Option<i64>,
        /// The models to try if the agent's model fails, in this order.
        #[serde(borrow)]
        pub(crate) fallback_model_ids: Json<'r, FallbackList>,
        /// The tools that the agent may use.
        #[serde(borrow)]
        pub(crate) tools: Json<'r, ToolList>,
        /// Further data, interpreted by the runtime.
        #[serde(borrow)]
        pub(crate) metadata: Json<'r, JsonObject>,
    }
}

/// A definition that owns its values.
pub(crate) type AgentDefinition = AgentDefinitionRow<'static>;

impl<'r> AgentDefinitionRow<'r> {
    /// # Errors
    /// A text that [`written`] has not written.
    pub(crate) fn read(text: &'r JsonObject) -> Result<Self, DbErr> {
        serde_json::from_str(text.as_str()).map_err(|error| DbErr::Json(error.to_string()))
    }

    /// The columns of the agent that it defines.
    pub(crate) fn into_columns(self) -> Result<agent::ActiveModel, DbErr> {
        let Self {
            name,
            external_id,
            role,
            description,
            system_prompt,
            base_prompt,
            skill_names,
            competencies,
            can_review,
            traits,
            languages,
            communication_style,
            temperature,
            max_tokens,
            params,
            model_id,
            fallback_model_ids,
            tools,
            metadata,
        } = self;
        let text = |text: Option<Text<'_>>| Set(text.map(String::from));
        Ok(agent::ActiveModel {
            name: Set(name.into()),
            external_id: text(external_id),
            role: text(role),
            description: text(description),
            system_prompt: text(system_prompt),
            base_prompt: text(base_prompt),
            skill_names: Set(skill_names.stored()?.parse()?),
            competencies: Set(competencies.stored()?.parse()?),
            can_review: Set(can_review.stored()?.parse()?),
            traits: Set(traits.stored()?.parse()?),
            languages: Set(languages.stored()?.parse()?),
            communication_style: text(communication_style),
            temperature: Set(temperature),
            max_tokens: Set(max_tokens),
            params: Set(ModelParams::from_stored(params.stored()?.as_str()?)),
            model_id: Set(model_id),
            fallback_model_ids: Set(fallback_model_ids.stored()?.parse()?),
            tools: Set(ToolList::from_stored(tools.stored()?.as_str()?)),
            metadata: Set(JsonObject::from_stored(metadata.stored()?.as_str()?)),
            ..ActiveModelTrait::default()
        })
    }
}

/// The definition of an agent as it is stored, and its digest.
pub(super) fn written(row: agent::Model) -> Result<(JsonObject, String), DbErr> {
    const BYTES: usize = 1 << 12;
    let json = rows::to_json(&AgentDefinition::from(row), BYTES)?;
    let text = simdutf8::basic::from_utf8(&json).map_err(|error| DbErr::Json(error.to_string()))?;
    Ok((JsonObject::from_stored(text), digest::of_text(text)?))
}
