//! The index for the order of changes. It holds no entry when it is made, so that making it only reads the table; a
//! migration of its own, so that readers do not wait for that.

use sea_orm_migration::prelude::*;

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let create = "CREATE INDEX audit_entries_transaction ON audit_entries (transaction_id, id) \
                      WHERE transaction_id IS NOT NULL";
        ddl::run_on_postgres(manager, &[create]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run_on_postgres(manager, &["DROP INDEX audit_entries_transaction"]).await
    }
}
