//! Members: one agent's membership in one circle.

use sea_orm::{
    IntoSimpleExpr,
    entity::prelude::*,
    sea_query::{ExprTrait, SimpleExpr},
};

use crate::{
    params::ModelParams,
    values::{JsonObject, MemberRole, StringList},
};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "members")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub circle_id: i64,
    pub agent_id: i64,
    pub role: MemberRole,
    pub competencies: StringList,
    pub can_review: StringList,
    pub permissions: JsonObject,
    pub temperature: Option<f64>,
    pub max_tokens: Option<i64>,
    pub params: ModelParams,
    pub is_active: bool,
    pub joined_at: DateTimeUtc,
    pub left_at: Option<DateTimeUtc>,
    /// Incremented by every change.
    pub revision: i64,
    #[sea_orm(belongs_to, from = "circle_id", to = "id")]
    pub circle: BelongsTo<super::circle::Entity>,
    #[sea_orm(belongs_to, from = "agent_id", to = "id")]
    pub agent: BelongsTo<super::agent::Entity>,
}

#[async_trait::async_trait]
impl ActiveModelBehavior for ActiveModel {
    async fn before_save<C>(mut self, _db: &C, insert: bool) -> Result<Self, DbErr>
    where
        C: ConnectionTrait,
    {
        self.revision = crate::revision::next(&self.revision, insert)?;
        Ok(self)
    }
}

impl Entity {
    /// All memberships but those that have ended.
    #[must_use]
    pub fn find_active() -> Select<Self> {
        Self::find().filter(Self::active())
    }

    /// The condition of [`Self::find_active`]. It compares the column with nothing: an index over these rows alone
    /// (`WHERE is_active`) can't be used for a condition with a bound value.
    #[must_use]
    pub fn active() -> SimpleExpr {
        Column::IsActive.into_simple_expr()
    }

    /// The memberships that are shown, of those joined with their agents. That of a deleted agent has ended, even where
    /// a job has not come to its row yet.
    #[must_use]
    pub fn shown(include_inactive: bool) -> SimpleExpr {
        let not_deleted = super::agent::Entity::not_deleted();
        if include_inactive {
            not_deleted.or(Self::active().not())
        } else {
            not_deleted.and(Self::active())
        }
    }
}
