//! Trigram indexes for the `q` filter (text anywhere in a name), on PostgreSQL.
//!
//! The extension pg_trgm ships with PostgreSQL and is trusted, but a server can be built without
//! it, and a role may not be allowed to create it. Search works without the indexes, only slower,
//! so that is a notice and not a failure. SQLite has no such index; there the filter reads the
//! table in key order and stops when its page is full.

use sea_orm_migration::prelude::*;

use crate::ddl;

const CREATE: &str = r#"
DO $$
BEGIN
  CREATE EXTENSION IF NOT EXISTS pg_trgm;
  CREATE INDEX providers_search ON providers
    USING gin (lower(name COLLATE "C") gin_trgm_ops, lower(display_name COLLATE "C") gin_trgm_ops);
  CREATE INDEX models_search ON models
    USING gin (lower(model_name COLLATE "C") gin_trgm_ops, lower(model_alias COLLATE "C") gin_trgm_ops);
  CREATE INDEX agents_search ON agents
    USING gin (lower(name COLLATE "C") gin_trgm_ops);
  CREATE INDEX circles_search ON circles
    USING gin (lower(name COLLATE "C") gin_trgm_ops, lower(display_name COLLATE "C") gin_trgm_ops);
EXCEPTION
  WHEN insufficient_privilege OR feature_not_supported OR undefined_file OR undefined_object THEN
    RAISE NOTICE 'no trigram indexes, text search will scan: %', SQLERRM;
END
$$"#;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run_on_postgres(manager, &[CREATE]).await
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
