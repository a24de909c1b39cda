//! What an agent looks like on the wire.

use chrono::{DateTime, Utc};
use entity::{
    agent,
    values::{AgentStatus, JsonObject, StringList, now},
};
use poem_openapi::{Enum, Object, types::MaybeUndefined};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
};
use serde::Serialize;

use crate::{http::Patch, models::dto::Model};

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

/// An agent to create.
#[derive(Clone, Debug, Object)]
pub(crate) struct AgentCreate {
    /// Name for people; need not be unique.
    #[oai(validator(min_length = 1, max_length = 200))]
    name: String,
    /// What it is, in its own words.
    #[oai(nullable, validator(min_length = 1, max_length = 200))]
    role: Option<String>,
    /// The prompt it starts from.
    #[oai(nullable, validator(max_length = 100000))]
    system_prompt: Option<String>,
    /// The prompt it starts from where there is no system prompt.
    #[oai(nullable, validator(max_length = 100000))]
    base_prompt: Option<String>,
    /// Skills it has.
    #[oai(default)]
    skill_names: StringList,
    /// Fields it is good at.
    #[oai(default)]
    competencies: StringList,
    /// Fields in which it may review the work of others.
    #[oai(default)]
    can_review: StringList,
    /// Traits of its character.
    #[oai(default)]
    traits: StringList,
    /// Languages it speaks.
    #[oai(default)]
    languages: StringList,
    /// How it talks.
    #[oai(nullable, validator(min_length = 1, max_length = 200))]
    communication_style: Option<String>,
    /// Sampling temperature.
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "2")))]
    temperature: Option<f64>,
    /// The most output, in tokens.
    #[oai(
        nullable,
        validator(minimum(value = "1"), maximum(value = "1000000000"))
    )]
    max_tokens: Option<i64>,
    /// The model it runs on.
    #[oai(nullable, validator(minimum(value = "1")))]
    model_id: Option<i64>,
    /// What it is doing; `idle` where it is not given.
    #[oai(default)]
    status: AgentStatus,
    /// Further facts, as the runtime understands them. No secrets.
    #[oai(default)]
    metadata: JsonObject,
}

impl From<AgentCreate> for agent::ActiveModel {
    fn from(new: AgentCreate) -> Self {
        let AgentCreate {
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
            metadata,
        } = new;
        let now = now();
        Self {
            id: NotSet,
            name: Set(name),
            role: Set(role),
            system_prompt: Set(system_prompt),
            base_prompt: Set(base_prompt),
            skill_names: Set(skill_names),
            competencies: Set(competencies),
            can_review: Set(can_review),
            traits: Set(traits),
            languages: Set(languages),
            communication_style: Set(communication_style),
            temperature: Set(temperature),
            max_tokens: Set(max_tokens),
            model_id: Set(model_id),
            status: Set(status),
            is_active: Set(true),
            metadata: Set(metadata),
            created_at: Set(now),
            updated_at: Set(now),
            revision: Set(1),
        }
    }
}

/// What to change of an agent. Lists and objects are replaced as a whole.
#[derive(Clone, Debug, Object)]
pub(crate) struct AgentUpdate {
    /// Name for people.
    #[oai(validator(min_length = 1, max_length = 200))]
    name: Option<String>,
    /// What it is, in its own words; null clears it.
    #[oai(nullable, validator(min_length = 1, max_length = 200))]
    role: MaybeUndefined<String>,
    /// The prompt it starts from; null clears it.
    #[oai(nullable, validator(max_length = 100000))]
    system_prompt: MaybeUndefined<String>,
    /// The prompt it starts from where there is no system prompt; null clears it.
    #[oai(nullable, validator(max_length = 100000))]
    base_prompt: MaybeUndefined<String>,
    /// Skills it has.
    skill_names: Option<StringList>,
    /// Fields it is good at.
    competencies: Option<StringList>,
    /// Fields in which it may review the work of others.
    can_review: Option<StringList>,
    /// Traits of its character.
    traits: Option<StringList>,
    /// Languages it speaks.
    languages: Option<StringList>,
    /// How it talks; null clears it.
    #[oai(nullable, validator(min_length = 1, max_length = 200))]
    communication_style: MaybeUndefined<String>,
    /// Sampling temperature; null leaves it to the model.
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "2")))]
    temperature: MaybeUndefined<f64>,
    /// The most output, in tokens; null leaves it to the model.
    #[oai(
        nullable,
        validator(minimum(value = "1"), maximum(value = "1000000000"))
    )]
    max_tokens: MaybeUndefined<i64>,
    /// The model it runs on; null leaves it without one.
    #[oai(nullable, validator(minimum(value = "1")))]
    model_id: MaybeUndefined<i64>,
    /// What it is doing.
    status: Option<AgentStatus>,
    /// Further facts, as the runtime understands them.
    metadata: Option<JsonObject>,
}

impl From<AgentUpdate> for agent::ActiveModel {
    fn from(patch: AgentUpdate) -> Self {
        let AgentUpdate {
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
            metadata,
        } = patch;
        let mut row = <Self as ActiveModelTrait>::default();
        name.apply_to(&mut row.name);
        role.apply_to(&mut row.role);
        system_prompt.apply_to(&mut row.system_prompt);
        base_prompt.apply_to(&mut row.base_prompt);
        skill_names.apply_to(&mut row.skill_names);
        competencies.apply_to(&mut row.competencies);
        can_review.apply_to(&mut row.can_review);
        traits.apply_to(&mut row.traits);
        languages.apply_to(&mut row.languages);
        communication_style.apply_to(&mut row.communication_style);
        temperature.apply_to(&mut row.temperature);
        max_tokens.apply_to(&mut row.max_tokens);
        model_id.apply_to(&mut row.model_id);
        status.apply_to(&mut row.status);
        metadata.apply_to(&mut row.metadata);
        row
    }
}
