//! The revision of the catalogue, which is the one row of this table.
//!
//! It grows when a model or provider changes in a column that rosters show. A roster's state is the circle's
//! revision and this one, so a model that is renamed costs one row, however many circles show it.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "catalog_revision")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub revision: i64,
}

impl ActiveModelBehavior for ActiveModel {}
