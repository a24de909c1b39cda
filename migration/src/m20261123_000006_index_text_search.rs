//! Indexes for the `q` filter, a substring search in names.

use sea_orm_migration::prelude::*;

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::search_index(manager, "providers", &["name", "display_name"]).await?;
        ddl::search_index(manager, "models", &["model_name", "model_alias"]).await?;
        ddl::search_index(manager, "agents", &["name"]).await?;
        ddl::search_index(manager, "circles", &["name", "display_name"]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run_on_postgres(
            manager,
            &[
                "DROP INDEX IF EXISTS circles_search",
                "DROP INDEX IF EXISTS agents_search",
                "DROP INDEX IF EXISTS models_search",
                "DROP INDEX IF EXISTS providers_search",
            ],
        )
        .await
    }
}
