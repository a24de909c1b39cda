//! Names of providers are unique regardless of case, and case folds as in the program: only A to Z, whatever
//! the locale of the database. In a Turkish one, `lower('MISTRAL')` is not `mistral`, so both were taken.
//!
//! Of providers whose names are the same now, the oldest keeps its name. The others get their ids appended.
//! Reverting keeps these names.

use sea_orm_migration::prelude::*;

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite folds A to Z only.
        ddl::run_on_postgres(
            manager,
            &[
                LOCK,
                "DROP INDEX providers_name_unique",
                &format!(
                    "INSERT INTO audit_entries (at, action, resource, resource_id, fields) \
                     SELECT now(), 'update', 'provider', id, '[\"name\"]' FROM providers WHERE {TAKEN}"
                ),
                &format!(
                    "UPDATE providers SET revision = revision + 1, updated_at = now(), \
                     name = left(name, 63 - length(CAST(id AS text))) || '-' || id WHERE {TAKEN}"
                ),
                // A table with pending triggers gets no index.
                "SET CONSTRAINTS ALL IMMEDIATE",
                r#"CREATE UNIQUE INDEX providers_name_unique ON providers (lower(name COLLATE "C"))"#,
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run_on_postgres(
            manager,
            &[
                LOCK,
                "DROP INDEX providers_name_unique",
                "CREATE UNIQUE INDEX providers_name_unique ON providers (lower(name))",
            ],
        )
        .await
    }
}

/// Locks out writers. A change of a provider changes the circles that show it, by a trigger.
const LOCK: &str = "LOCK TABLE circles, agents, providers, models IN SHARE ROW EXCLUSIVE MODE";

/// Whether an older provider has the name.
const TAKEN: &str = r#"EXISTS (SELECT 1 FROM providers older WHERE older.id < providers.id
    AND lower(older.name COLLATE "C") = lower(providers.name COLLATE "C"))"#;
