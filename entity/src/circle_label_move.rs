//! The moves of labels, which are never changed: what each label pointed to, and since when.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "circle_label_moves")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub circle_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub label: String,
    /// That of the label after the move.
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i64,
    pub at: DateTimeUtc,
    /// Null if there was no label of this name.
    pub from_release: Option<i64>,
    /// Null if the label was deleted.
    pub to_release: Option<i64>,
    pub key_id: Option<i64>,
    pub request_id: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
