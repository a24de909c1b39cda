//! The labels of a circle that only some may move.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let json = match manager.get_database_backend() {
            DbBackend::Sqlite => "jsonb_text",
            _ => "jsonb",
        };
        let add =
            format!("ALTER TABLE circles ADD COLUMN protected_labels {json} NOT NULL DEFAULT '[]'");
        ddl::run(manager, &[&add]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run(
            manager,
            &["ALTER TABLE circles DROP COLUMN protected_labels"],
        )
        .await
    }
}
