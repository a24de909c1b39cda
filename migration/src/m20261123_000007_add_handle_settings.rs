//! More inputs of a handle: a member's own sampling settings, a model's default temperature, and a
//! circle's text about its project.

use sea_orm_migration::prelude::*;

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run(
            manager,
            &[
                "ALTER TABLE members ADD COLUMN temperature double precision CHECK (temperature BETWEEN 0 AND 2)",
                "ALTER TABLE members ADD COLUMN max_tokens bigint CHECK (max_tokens >= 1)",
                "ALTER TABLE models ADD COLUMN default_temperature double precision CHECK (default_temperature BETWEEN 0 AND 2)",
                "ALTER TABLE circles ADD COLUMN project_context text",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run(
            manager,
            &[
                "ALTER TABLE circles DROP COLUMN project_context",
                "ALTER TABLE models DROP COLUMN default_temperature",
                "ALTER TABLE members DROP COLUMN max_tokens",
                "ALTER TABLE members DROP COLUMN temperature",
            ],
        )
        .await
    }
}
