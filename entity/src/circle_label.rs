//! Labels: names that point to releases of a circle.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "circle_labels")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub circle_id: i64,
    /// The name of the circle, so that a read by both names finds the label without the circle; none if the circle is
    /// deleted. Only triggers set it.
    pub circle_name: Option<String>,
    pub name: String,
    /// The number of the release.
    pub release: i64,
    /// That of the release, which never changes.
    pub digest: String,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    /// Grows with every move, also over deletions.
    pub revision: i64,
}

crate::revision::versioned!();
