//! What an agent looks like on the wire.

use chrono::{DateTime, Utc};
use entity::{
    agent,
    values::{AgentStatus, JsonObject, StringList},
};
use poem_openapi::{Enum, Object};
use sea_orm::ActiveValue::{NotSet, Set};
use serde::Serialize;

use crate::{http::input, models::dto::Model};

/// An agent: a prompt, skills and a model under one name.
#[derive(Debug, Object, Serialize)]
pub(crate) struct Agent {
    /// Assigned by the service.
    pub(crate) id: i64,
    /// Name for people; need not be unique.
    pub(crate) name: String,
    /// What it is, in its own words, as `Rust reviewer`.
    #[oai(nullable)]
    pub(crate) role: Option<String>,
    /// The prompt it starts from.
    #[oai(nullable)]
    pub(crate) system_prompt: Option<String>,
    /// The prompt it starts from where there is no system prompt.
    #[oai(nullable)]
    pub(crate) base_prompt: Option<String>,
    /// Skills it has.
    pub(crate) skill_names: StringList,
    /// Fields it is good at.
    pub(crate) competencies: StringList,
    /// Fields in which it may review the work of others.
    pub(crate) can_review: StringList,
    /// Traits of its character.
    pub(crate) traits: StringList,
    /// Languages it speaks.
    pub(crate) languages: StringList,
    /// How it talks.
    #[oai(nullable)]
    pub(crate) communication_style: Option<String>,
    /// Sampling temperature, from 0 to 2; null leaves it to the model.
    #[oai(nullable)]
    pub(crate) temperature: Option<f64>,
    /// The most output, in tokens; null leaves it to the model.
    #[oai(nullable)]
    pub(crate) max_tokens: Option<i64>,
    /// The model it runs on.
    #[oai(nullable)]
    pub(crate) model_id: Option<i64>,
    /// What it is doing.
    pub(crate) status: AgentStatus,
    /// False once it is deleted.
    pub(crate) is_active: bool,
    /// Further facts, as the runtime understands them. No secrets.
    pub(crate) metadata: JsonObject,
    /// When it was created (UTC).
    pub(crate) created_at: DateTime<Utc>,
    /// When it was last changed (UTC).
    pub(crate) updated_at: DateTime<Utc>,
    /// The model it runs on; only in lists with `include=model`, and absent there too for an agent
    /// without one.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<Model>,
}

/// What a list of agents can bring along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum AgentInclude {
    /// The model of every agent that has one.
    Model,
}

impl From<agent::Model> for Agent {
    fn from(row: agent::Model) -> Self {
        let agent::Model {
            id,
            name,
            role,
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
            model_id,
            status,
            is_active,
            metadata,
            created_at,
            updated_at,
            revision: _,
        } = row;
        Self {
            id,
            name,
            role,
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
            model_id,
            status,
            is_active,
            metadata,
            created_at,
            updated_at,
            model: None,
        }
    }
}

input! {
    agent;
    /// An agent to create.
    create AgentCreate;
    /// Changes to an agent. Lists and objects are replaced as a whole.
    update AgentUpdate;
    required {
        /// Display name; need not be unique.
        #[oai(validator(min_length = 1, max_length = 200))]
        name: String,
    }
    nullable {
        /// The agent's role in its own words, as `Rust reviewer`.
        #[oai(validator(min_length = 1, max_length = 200))]
        role: String,
        /// The agent's system prompt.
        #[oai(validator(max_length = 100000))]
        system_prompt: String,
        /// The prompt that is used if there is no system prompt.
        #[oai(validator(max_length = 100000))]
        base_prompt: String,
        /// How the agent communicates.
        #[oai(validator(min_length = 1, max_length = 200))]
        communication_style: String,
        /// Sampling temperature; null for the model's default.
        #[oai(validator(minimum(value = "0"), maximum(value = "2")))]
        temperature: f64,
        /// Maximum output, in tokens; null for the model's limit.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000000000")))]
        max_tokens: i64,
        /// The model that the agent runs on.
        #[oai(validator(minimum(value = "1")))]
        model_id: i64,
    }
    defaulted {
        /// The agent's skills.
        skill_names: StringList,
        /// The fields that the agent is competent in.
        competencies: StringList,
        /// The fields in which the agent may review the work of others.
        can_review: StringList,
        /// The agent's character traits.
        traits: StringList,
        /// The languages that the agent speaks.
        languages: StringList,
        /// What the agent is doing. A new agent is `idle` by default.
        status: AgentStatus,
        /// Further data, interpreted by the runtime. Values that look like secrets are rejected.
        metadata: JsonObject,
    }
    row {
        id: NotSet,
        is_active: Set(true),
        created_at: NotSet,
        updated_at: NotSet,
        revision: NotSet,
    }
}
