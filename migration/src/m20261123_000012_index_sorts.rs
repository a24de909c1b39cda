//! Indexes for the sort orders of the lists, and for the filter on the time of the last change.
//!
//! Text is sorted by its bytes on both databases; by default PostgreSQL would use its locale. The
//! indexes include deleted rows: a partial index is not used when that condition is a parameter.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Each table, and the column with the name of a row.
const TABLES: [(&str, &str); 5] = [
    ("providers", "name"),
    ("models", "model_name"),
    ("agents", "name"),
    ("circles", "name"),
    ("conversations", "topic"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let by_bytes = match manager.get_database_backend() {
            DbBackend::Postgres => r#" COLLATE "C""#,
            _ => "",
        };
        for (table, name) in TABLES {
            ddl::run(
                manager,
                &[
                    &format!("CREATE INDEX {table}_by_name ON {table} ({name}{by_bytes}, id)"),
                    &format!("CREATE INDEX {table}_by_creation ON {table} (created_at, id)"),
                    &format!("CREATE INDEX {table}_by_change ON {table} (updated_at, id)"),
                ],
            )
            .await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, _) in TABLES {
            ddl::run(
                manager,
                &[
                    &format!("DROP INDEX {table}_by_change"),
                    &format!("DROP INDEX {table}_by_creation"),
                    &format!("DROP INDEX {table}_by_name"),
                ],
            )
            .await?;
        }
        Ok(())
    }
}
