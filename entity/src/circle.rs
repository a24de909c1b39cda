//! Circles: teams of agents.

use sea_orm::{IntoSimpleExpr, entity::prelude::*, sea_query::SimpleExpr};

use crate::{
    label_name::LabelList,
    values::{CircleStatus, JsonObject},
};

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
    /// False after the circle was deleted. Its name can then be used again.
    pub is_active: bool,
    pub started_at: Option<DateTimeUtc>,
    pub stopped_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    /// Incremented by every change that the roster shows; triggers cover changes in other tables.
    pub revision: i64,
    /// The number of active members. Only triggers set it.
    pub member_count: i64,
    /// The number of the last release, which none has again after it was deleted.
    pub last_release: i64,
    /// Names of labels. Only some may move them.
    pub protected_labels: LabelList,
    #[sea_orm(has_many)]
    pub members: HasMany<super::member::Entity>,
}

crate::revision::versioned!();

impl Entity {
    /// All circles but the deleted ones.
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
