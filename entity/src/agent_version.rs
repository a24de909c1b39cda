//! Versions of agents: the definition that each change left. They are never changed.

use sea_orm::entity::prelude::*;

use crate::values::JsonObject;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "agent_versions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub agent_id: i64,
    /// From 1, without gaps.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
    pub definition: JsonObject,
    /// The digest of the definition's canonical form.
    pub digest: String,
    pub message: Option<String>,
    /// The API key that made the change; null without one. Versions outlive keys, so this is not a foreign key.
    pub key_id: Option<i64>,
    pub created_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "agent_id", to = "id")]
    pub agent: BelongsTo<super::agent::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
