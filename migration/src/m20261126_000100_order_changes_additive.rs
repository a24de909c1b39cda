//! The order in which changes are shown to those who follow them, and the circle of each change.
//!
//! On PostgreSQL, ids do not tell the order: an entry with a lower id may be committed later. The number of its
//! transaction does, together with the transactions that still run. It is the column's default, so that entries of an
//! older build have it too, and the default is set after the column, so that no row is rewritten: entries that are there
//! already have none. On SQLite, the one writer makes the ids in the order of the commits.
//!
//! `change_feed` is one row. The feed starts after the entry `after_…`, which was the last when this ran, or the greatest
//! that was deleted since. Entries with ids below `first_id` do not belong to it: they are from before, or from another
//! cluster, whose transactions were numbered otherwise. `cluster` is the one that numbers them now.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        let (time, cluster) = match backend {
            DbBackend::Sqlite => ("text", "NULL"),
            _ => (
                "timestamptz",
                "(SELECT system_identifier FROM pg_control_system())",
            ),
        };
        ddl::run(
            manager,
            &["ALTER TABLE audit_entries ADD COLUMN circle_id bigint"],
        )
        .await?;
        ddl::run_on_postgres(manager, &NUMBER_TRANSACTIONS).await?;
        let create = format!(
            "CREATE TABLE change_feed (id bigint PRIMARY KEY CHECK (id = 1), first_id bigint NOT NULL, \
             after_transaction_id bigint NOT NULL, after_id bigint NOT NULL, after_at {time} NOT NULL, cluster bigint)"
        );
        let start = format!(
            "INSERT INTO change_feed SELECT 1, coalesce(max(id), 0) + 1, 0, coalesce(max(id), 0), {}, {cluster} \
             FROM audit_entries",
            ddl::now(backend)
        );
        ddl::run(manager, &[&create, &start]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop_table(manager, "change_feed").await?;
        ddl::run_on_postgres(
            manager,
            &["ALTER TABLE audit_entries DROP COLUMN transaction_id"],
        )
        .await?;
        ddl::run(
            manager,
            &["ALTER TABLE audit_entries DROP COLUMN circle_id"],
        )
        .await
    }
}

const NUMBER_TRANSACTIONS: [&str; 2] = [
    "ALTER TABLE audit_entries ADD COLUMN transaction_id bigint",
    "ALTER TABLE audit_entries ALTER COLUMN transaction_id \
     SET DEFAULT CAST(CAST(pg_current_xact_id() AS text) AS bigint)",
];
