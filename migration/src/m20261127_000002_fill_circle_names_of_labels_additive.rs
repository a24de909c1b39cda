//! The names of their circles for the labels that there are, and the index by which labels are read. In a transaction
//! after that which adds the column and locks the table, so that labels are read meanwhile.

use sea_orm_migration::prelude::*;

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Moves of labels wait until all labels have their names, and so does a circle that is renamed, deleted or restored: its
/// new name would be lost.
const LOCK: &str = "LOCK TABLE circle_labels IN SHARE ROW EXCLUSIVE MODE";

const FILL: &str = "UPDATE circle_labels SET circle_name = \
    (SELECT name FROM circles WHERE circles.id = circle_labels.circle_id AND circles.is_active)";

const INDEX: &str =
    "CREATE UNIQUE INDEX circle_labels_circle_name ON circle_labels (circle_name, name)";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run_on_postgres(manager, &[LOCK]).await?;
        ddl::run(manager, &[FILL, INDEX]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run(manager, &["DROP INDEX circle_labels_circle_name"]).await
    }
}
