//! What an agent looks like on the wire.

use entity::{
    agent,
    params::ModelParams,
    tool::ToolList,
    values::{AgentStatus, FallbackList, JsonObject, StringList},
};
use poem_openapi::{Enum, Object};
use sea_orm::ActiveValue::{NotSet, Set};
use serde::Serialize;

use crate::{
    http::input,
    models::dto::ModelRow,
    rows::{Json, Text, Timestamp, row},
};

row! {
    /// An agent: a prompt, skills and a model under one name.
    #[derive(Debug, Object, Serialize)]
    #[oai(rename = "Agent")]
    pub(crate) struct AgentRow<'r> of agent without revision {
        /// Assigned by the service.
        pub(crate) id: i64,
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
        pub(crate) skill_names: Json<'r, StringList>,
        /// The fields that the agent is competent in.
        pub(crate) competencies: Json<'r, StringList>,
        /// The fields in which the agent may review the work of others.
        pub(crate) can_review: Json<'r, StringList>,
        /// Character traits.
        pub(crate) traits: Json<'r, StringList>,
        /// Languages that the agent speaks.
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
        /// Further parameters of calls to the model. A member's come first, then these, then the model's.
        pub(crate) params: Json<'r, ModelParams>,
        /// The model that the agent runs on.
        #[oai(nullable)]
        pub(crate) model_id: Option<i64>,
        /// The models to try if the agent's model fails, in this order.
        pub(crate) fallback_model_ids: Json<'r, FallbackList>,
        /// The tools that the agent may use.
        pub(crate) tools: Json<'r, ToolList>,
        /// What the agent is doing.
        pub(crate) status: AgentStatus,
        /// False after deletion.
        pub(crate) is_active: bool,
        /// Further data, interpreted by the runtime.
        pub(crate) metadata: Json<'r, JsonObject>,
        /// When it was created (UTC).
        pub(crate) created_at: Timestamp<'r>,
        /// When it was last changed (UTC).
        pub(crate) updated_at: Timestamp<'r>,
        /// The number of the agent's newest version. 0 if it has none, because an earlier build created the agent
        /// during an upgrade.
        pub(crate) version: i64,
    } with {
        /// The model that the agent runs on, if it has one; only in lists with `include=model`.
        #[oai(skip_serializing_if_is_none)]
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(crate) model: Option<ModelRow<'r>>,
    }
}

/// A row that owns its values.
pub(crate) type Agent = AgentRow<'static>;

/// Related resources that a list of agents can include.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum AgentInclude {
    /// The model of every agent that has one.
    Model,
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
        /// When to use the agent, and for what.
        #[oai(validator(max_length = 5000))]
        description: String,
        /// The name that another system has for the agent; unique among agents that are not deleted.
        #[oai(validator(min_length = 1, max_length = 255))]
        external_id: String,
        /// The agent's system prompt.
        #[oai(validator(max_length = 500000))]
        system_prompt: String,
        /// The prompt that is used if there is no system prompt.
        #[oai(validator(max_length = 500000))]
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
        /// Names of the agent's skills.
        skill_names: StringList,
        /// The fields that the agent is competent in.
        competencies: StringList,
        /// The fields in which the agent may review the work of others.
        can_review: StringList,
        /// The tools that the agent may use.
        tools: ToolList,
        /// The models to try if the agent's model fails, in this order; each once, and not the agent's model.
        fallback_model_ids: FallbackList,
        /// Further parameters of calls to the model. A member's come first, then these, then the model's.
        params: ModelParams,
        /// The agent's character traits.
        traits: StringList,
        /// The languages that the agent speaks.
        languages: StringList,
        /// What the agent is doing. A new agent is `idle` by default.
        status: AgentStatus,
        /// Further data, interpreted by the runtime. Secrets of known forms are rejected.
        metadata: JsonObject,
    }
    row {
        id: NotSet,
        is_active: Set(true),
        created_at: NotSet,
        updated_at: NotSet,
        revision: NotSet,
        version: Set(1),
    }
}
