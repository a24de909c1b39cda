//! Which agents may fall back on which models: their `fallback_model_ids`, as rows.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "agent_fallback_models")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub agent_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub model_id: i64,
    #[sea_orm(belongs_to, from = "agent_id", to = "id")]
    pub agent: BelongsTo<super::agent::Entity>,
    #[sea_orm(belongs_to, from = "model_id", to = "id")]
    pub model: BelongsTo<super::model::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
