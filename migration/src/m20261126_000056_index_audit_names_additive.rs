//! An index for the filter of audit entries by the name of what was changed.

use sea_orm_migration::prelude::*;

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let create =
            "CREATE INDEX audit_entries_name ON audit_entries (name, id) WHERE name IS NOT NULL";
        ddl::run(manager, &[create]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run(manager, &["DROP INDEX audit_entries_name"]).await
    }
}
