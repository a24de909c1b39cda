//! An index of the memberships that are live, as rosters, counts and lists ask for them: it holds all
//! that a count asks for, so that fifty circles are counted without a look at the table.
//!
//! It takes the place of the one over all memberships. What remains to ask for those that ended too
//! is the list of one circle's members, which finds them by `members_agent_unique`.

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
