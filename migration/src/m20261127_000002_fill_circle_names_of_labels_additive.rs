//! The names of their circles for the labels that there are, and the index by which labels are read. In a transaction
//! after that which adds the column and locks the table, so that labels are read meanwhile.

use sea_orm_migration::prelude::*;

use crate::{ddl, m20261127_000001_add_circle_names_to_labels_additive::NAME};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Whoever moves labels, or renames, deletes or restores a circle, waits until all have their names.
const LOCK: &str = "LOCK TABLE circle_labels IN SHARE ROW EXCLUSIVE MODE";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run_on_postgres(manager, &[LOCK]).await?;
        let fill = format!("UPDATE circle_labels SET circle_name = {NAME}");
        let index =
            "CREATE UNIQUE INDEX circle_labels_circle_name ON circle_labels (circle_name, name)";
        ddl::run(manager, &[&fill, index]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run(manager, &["DROP INDEX circle_labels_circle_name"]).await
    }
}
