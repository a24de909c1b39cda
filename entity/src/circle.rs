//! Circles: teams of agents.

use sea_orm::entity::prelude::*;

use crate::values::{CircleStatus, JsonObject};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "circles")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub name: String,
    pub display_name: Option<String>,
    pub description: Option<String>,
    pub status: CircleStatus,
    pub require_review: bool,
    pub auto_route: bool,
    pub max_members: Option<i32>,
    pub settings: JsonObject,
    pub project_context: Option<String>,
    /// False once the circle is deleted; its name is then free again.
    pub is_active: bool,
    pub started_at: Option<DateTimeUtc>,
    pub stopped_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    /// Grows with every change of what the roster shows, by triggers where it is not the circle's.
    pub revision: i64,
    /// How many active members it has. Only triggers set it.
    pub member_count: i64,
    #[sea_orm(has_many)]
    pub members: HasMany<super::member::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
