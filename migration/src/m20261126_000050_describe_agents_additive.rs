//! What says when to use an agent (`description`), and the name that another system has for it (`external_id`),
//! which is unique among the agents that are not deleted.

use sea_orm_migration::prelude::*;

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = [
            "ALTER TABLE agents ADD COLUMN description text",
            "ALTER TABLE agents ADD COLUMN external_id text",
            "CREATE UNIQUE INDEX agents_external_id ON agents (external_id) WHERE is_active",
        ];
        ddl::run(manager, &statements).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = [
            "DROP INDEX agents_external_id",
            "ALTER TABLE agents DROP COLUMN external_id",
            "ALTER TABLE agents DROP COLUMN description",
        ];
        ddl::run(manager, &statements).await
    }
}
