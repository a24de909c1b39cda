//! The facts that handles are resolved from, as the rows have them: what only passes through is not
//! taken apart.

use chrono::{DateTime, NaiveDate, Utc};
use entity::{
    agent, circle, member, model, provider,
    tool::StoredTool,
    values::{AgentStatus, CircleStatus, MemberRole},
};

use sea_orm::DbErr;

use crate::{
    rows::{RawJson, Text, row},
    versions::AgentDefinitionRow,
};

row! {
    /// What a circle contributes.
    #[derive(Clone, Debug)]
    pub(super) struct CircleFacts<'r> {
        pub(super) id: i64 = circle::Id,
        pub(super) name: &'r str = circle::Name,
        pub(super) status: CircleStatus = circle::Status,
        pub(super) require_review: bool = circle::RequireReview,
        pub(super) max_members: Option<i32> = circle::MaxMembers,
        pub(super) settings: RawJson<'r> = circle::Settings,
        pub(super) project_context: Option<&'r str> = circle::ProjectContext,
    }
}

row! {
    /// What a membership contributes.
    #[derive(Clone, Debug)]
    pub(super) struct MemberFacts<'r> {
        pub(super) id: i64 = member::Id,
        pub(super) role: MemberRole = member::Role,
        pub(super) joined_at: DateTime<Utc> = member::JoinedAt,
        pub(super) competencies: RawJson<'r> = member::Competencies,
        pub(super) can_review: RawJson<'r> = member::CanReview,
        pub(super) permissions: RawJson<'r> = member::Permissions,
        pub(super) temperature: Option<f64> = member::Temperature,
        pub(super) max_tokens: Option<i64> = member::MaxTokens,
        pub(super) params: RawJson<'r> = member::Params,
    }
}

row! {
    /// What an agent contributes.
    #[derive(Clone, Debug)]
    pub(super) struct AgentFacts<'r> {
        pub(super) id: i64 = agent::Id,
        pub(super) version: i64 = agent::Version,
        pub(super) name: &'r str = agent::Name,
        pub(super) role: Option<&'r str> = agent::Role,
        pub(super) description: Option<&'r str> = agent::Description,
        pub(super) status: AgentStatus = agent::Status,
        pub(super) system_prompt: Option<&'r str> = agent::SystemPrompt,
        pub(super) base_prompt: Option<&'r str> = agent::BasePrompt,
        pub(super) skill_names: RawJson<'r> = agent::SkillNames,
        pub(super) traits: RawJson<'r> = agent::Traits,
        pub(super) languages: RawJson<'r> = agent::Languages,
        pub(super) communication_style: Option<&'r str> = agent::CommunicationStyle,
        pub(super) metadata: RawJson<'r> = agent::Metadata,
        pub(super) competencies: RawJson<'r> = agent::Competencies,
        pub(super) can_review: RawJson<'r> = agent::CanReview,
        pub(super) temperature: Option<f64> = agent::Temperature,
        pub(super) max_tokens: Option<i64> = agent::MaxTokens,
        pub(super) params: RawJson<'r> = agent::Params,
        pub(super) fallback_model_ids: RawJson<'r> = agent::FallbackModelIds,
        pub(super) tools: RawJson<'r> = agent::Tools,
    }
}

row! {
    /// What a model and its provider contribute.
    #[derive(Clone, Debug)]
    pub(super) struct ModelFacts<'r> {
        pub(super) name: &'r str = model::ModelName,
        pub(super) mode: Option<&'r str> = model::Mode,
        pub(super) context_window: Option<i64> = model::ContextWindow,
        pub(super) max_output: Option<i64> = model::MaxOutput,
        pub(super) default_temperature: Option<f64> = model::DefaultTemperature,
        pub(super) accepts_sampling: bool = model::AcceptsSampling,
        pub(super) reasoning_efforts: RawJson<'r> = model::ReasoningEfforts,
        pub(super) supports_response_schema: bool = model::SupportsResponseSchema,
        pub(super) default_params: RawJson<'r> = model::DefaultParams,
        pub(super) supports_vision: bool = model::SupportsVision,
        pub(super) supports_tools: bool = model::SupportsTools,
        pub(super) supports_streaming: bool = model::SupportsStreaming,
        pub(super) supports_reasoning: bool = model::SupportsReasoning,
        pub(super) is_deprecated: bool = model::IsDeprecated,
        pub(super) deprecation_date: Option<NaiveDate> = model::DeprecationDate,
        pub(super) provider: &'r str = provider::Name,
        pub(super) api_type: &'r str = provider::ApiType,
        pub(super) base_url: Option<&'r str> = provider::BaseUrl,
        pub(super) is_local: bool = provider::IsLocal,
        pub(super) api_key_env: Option<&'r str> = provider::ApiKeyEnv,
        pub(super) provider_config: RawJson<'r> = provider::Config,
    }
}

impl<'r> AgentFacts<'r> {
    /// The facts of a version. What an agent is doing is not part of it.
    pub(super) fn of_version(
        id: i64,
        version: i64,
        status: AgentStatus,
        definition: &'r AgentDefinitionRow<'_>,
    ) -> Result<Self, DbErr> {
        let text = |text: &'r Option<Text<'_>>| text.as_ref().map(Text::as_str);
        Ok(Self {
            id,
            version,
            name: definition.name.as_str(),
            role: text(&definition.role),
            description: text(&definition.description),
            status,
            system_prompt: text(&definition.system_prompt),
            base_prompt: text(&definition.base_prompt),
            skill_names: definition.skill_names.stored()?,
            traits: definition.traits.stored()?,
            languages: definition.languages.stored()?,
            communication_style: text(&definition.communication_style),
            metadata: definition.metadata.stored()?,
            competencies: definition.competencies.stored()?,
            can_review: definition.can_review.stored()?,
            temperature: definition.temperature,
            max_tokens: definition.max_tokens,
            params: definition.params.stored()?,
            fallback_model_ids: definition.fallback_model_ids.stored()?,
            tools: definition.tools.stored()?,
        })
    }

    /// Whether it refers to MCP servers or fallback models.
    pub(super) fn has_related(&self) -> bool {
        self.tools.contains(r#""type":"mcp""#) || !self.fallback_model_ids.is_empty_list()
    }

    pub(super) fn tools(&self) -> Result<Vec<StoredTool<'r>>, DbErr> {
        if self.tools.is_empty_list() {
            return Ok(Vec::new());
        }
        self.tools.parse_raw()
    }

    pub(super) fn fallbacks(&self) -> Result<Vec<i64>, DbErr> {
        if self.fallback_model_ids.is_empty_list() {
            return Ok(Vec::new());
        }
        self.fallback_model_ids.parse()
    }
}

/// An agent with its model, if it has one, and its place in a circle.
#[derive(Clone, Debug)]
pub(super) struct Facts<'r> {
    pub(super) member: Option<MemberFacts<'r>>,
    pub(super) agent: AgentFacts<'r>,
    pub(super) model: Option<ModelFacts<'r>>,
}
