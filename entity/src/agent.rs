//! Agents: a name with a prompt, skills and a model.

use sea_orm::{IntoSimpleExpr, entity::prelude::*, sea_query::SimpleExpr};

use crate::{
    params::ModelParams,
    tool::ToolList,
    values::{AgentStatus, FallbackList, JsonObject, StringList},
};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "agents")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub name: String,
    /// The name that another system has for it; unique among the agents that are not deleted.
    pub external_id: Option<String>,
    pub role: Option<String>,
    pub description: Option<String>,
    pub system_prompt: Option<String>,
    pub base_prompt: Option<String>,
    pub skill_names: StringList,
    pub competencies: StringList,
    pub can_review: StringList,
    pub traits: StringList,
    pub languages: StringList,
    pub communication_style: Option<String>,
    pub temperature: Option<f64>,
    pub max_tokens: Option<i64>,
    pub params: ModelParams,
    pub model_id: Option<i64>,
    /// The models to try in place of `model_id`, in this order. Each has a row in `agent_fallback_models` too, by which a
    /// model's agents are found.
    pub fallback_model_ids: FallbackList,
    /// Each MCP server that it names has a row in `agent_mcp_servers`, too.
    pub tools: ToolList,
    pub status: AgentStatus,
    pub is_active: bool,
    pub metadata: JsonObject,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    /// Incremented by every change.
    pub revision: i64,
    /// The number of its newest version; 0 if none is recorded, because an earlier build added it.
    pub version: i64,
    #[sea_orm(belongs_to, from = "model_id", to = "id")]
    pub model: BelongsTo<Option<super::model::Entity>>,
}

crate::revision::versioned!();

impl Entity {
    /// All agents but the deleted ones.
    #[must_use]
    pub fn find_not_deleted() -> Select<Self> {
        Self::find().filter(Self::not_deleted())
    }

    /// The condition of [`Self::find_not_deleted`]. It compares the column with nothing: an index over these rows alone
    /// (`WHERE is_active`) can't be used for a condition with a bound value.
    #[must_use]
    pub fn not_deleted() -> SimpleExpr {
        Column::IsActive.into_simple_expr()
    }
}
