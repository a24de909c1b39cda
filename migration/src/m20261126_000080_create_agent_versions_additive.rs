//! Versions of agents: their definitions, as each change left them. `agents.version` is the number of the newest one, and
//! 0 where none is recorded. Triggers refuse to change a version.
//!
//! Agents that there are already have version 1, which the next migration writes: this one locks `agents` for a moment.
//! Those that an earlier build adds meanwhile have none.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut agent = ForeignKey::create()
            .name("agent_versions_agent_fk")
            .from("agent_versions", "agent_id")
            .to("agents", "id")
            .on_delete(ForeignKeyAction::Cascade)
            .to_owned();
        let versions = Table::create()
            .table("agent_versions")
            .col(big_integer("agent_id"))
            .col(big_integer("number").check(Expr::col("number").gte(1)))
            .col(text("definition"))
            .col(text("digest"))
            .col(text_null("message"))
            .col(big_integer_null("key_id"))
            .col(timestamp_with_time_zone("created_at"))
            .primary_key(Index::create().col("agent_id").col("number"))
            .foreign_key(&mut agent)
            .to_owned();
        manager.create_table(versions).await?;
        let is_json = "ALTER TABLE agent_versions ADD CONSTRAINT agent_versions_definition_json \
             CHECK (definition::json IS NOT NULL)";
        ddl::run_on_postgres(manager, &[is_json]).await?;
        match manager.get_database_backend() {
            DbBackend::Sqlite => ddl::run(manager, &[SQLITE_TRIGGER]).await?,
            _ => ddl::run(manager, &POSTGRES_TRIGGERS).await?,
        }
        // PostgreSQL gives the rows that there are a value without writing them.
        let statements: [&str; 2] = match manager.get_database_backend() {
            DbBackend::Sqlite => [
                "ALTER TABLE agents ADD COLUMN version bigint NOT NULL DEFAULT 0",
                "UPDATE agents SET version = 1",
            ],
            _ => [
                "ALTER TABLE agents ADD COLUMN version bigint NOT NULL DEFAULT 1",
                "ALTER TABLE agents ALTER COLUMN version SET DEFAULT 0",
            ],
        };
        ddl::run(manager, &statements).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run(manager, &["ALTER TABLE agents DROP COLUMN version"]).await?;
        ddl::drop_table(manager, "agent_versions").await?;
        ddl::run_on_postgres(manager, &["DROP FUNCTION agent_versions_stay()"]).await
    }
}

const SQLITE_TRIGGER: &str = "CREATE TRIGGER agent_versions_stay BEFORE UPDATE ON agent_versions \
     BEGIN SELECT RAISE(ABORT, 'versions of agents are never changed'); END";

const POSTGRES_TRIGGERS: [&str; 2] = [
    "CREATE OR REPLACE FUNCTION agent_versions_stay() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN RAISE EXCEPTION 'versions of agents are never changed' \
     USING ERRCODE = 'restrict_violation'; END $$",
    "CREATE TRIGGER agent_versions_stay BEFORE UPDATE ON agent_versions \
     FOR EACH STATEMENT EXECUTE FUNCTION agent_versions_stay()",
];
