//! An index of the active memberships, for rosters, counts and lists. A count reads the index alone,
//! so the members of fifty circles are counted without reading the table.
//!
//! It replaces the index of all memberships. Only the list of one circle's members still reads the
//! inactive ones, and `members_agent_unique` serves it.

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
                "CREATE INDEX members_live ON members (circle_id, id) WHERE is_active",
                "DROP INDEX members_circle",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run(
            manager,
            &[
                "CREATE INDEX members_circle ON members (circle_id, id)",
                "DROP INDEX members_live",
            ],
        )
        .await
    }
}
