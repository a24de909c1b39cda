//! Old audit entries may be deleted, recent ones may not.
//!
//! `audit_retention` is one row: the time before which entries may be deleted. It only grows, and never beyond
//! 30 days ago, so that no one can remove the traces of a recent change, `circle-registry prune` and its
//! own entry included. Triggers hold both rules for every writer; to get round them takes the owner of the table.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match manager.get_database_backend() {
            DbBackend::Sqlite => ddl::run(manager, &SQLITE).await,
            _ => ddl::run(manager, &POSTGRES).await,
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match manager.get_database_backend() {
            DbBackend::Sqlite => ddl::run(manager, &SQLITE_DOWN).await?,
            _ => ddl::run(manager, &POSTGRES_DOWN).await?,
        }
        ddl::drop_table(manager, "audit_retention").await?;
        let function = "DROP FUNCTION audit_retention_grows()";
        ddl::run_on_postgres(manager, &[function]).await
    }
}

const SQLITE: [&str; 6] = [
    "CREATE TABLE audit_retention (id integer PRIMARY KEY CHECK (id = 1), deletable_before text NOT NULL)",
    "INSERT INTO audit_retention VALUES (1, '0001-01-01T00:00:00.000000+00:00')",
    "CREATE TRIGGER audit_retention_grows BEFORE UPDATE ON audit_retention \
     WHEN NEW.deletable_before < OLD.deletable_before \
       OR NEW.deletable_before > strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now', '-30 days') \
     BEGIN SELECT RAISE(ABORT, 'audit entries of the last 30 days are never deleted'); END",
    "CREATE TRIGGER audit_retention_stays BEFORE DELETE ON audit_retention \
     BEGIN SELECT RAISE(ABORT, 'the retention of audit entries is never deleted'); END",
    "DROP TRIGGER audit_entries_delete",
    "CREATE TRIGGER audit_entries_delete BEFORE DELETE ON audit_entries \
     WHEN OLD.at >= (SELECT deletable_before FROM audit_retention) \
     BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted before their retention ends'); END",
];

const SQLITE_DOWN: [&str; 4] = [
    "DROP TRIGGER audit_entries_delete",
    "DROP TRIGGER audit_retention_grows",
    "DROP TRIGGER audit_retention_stays",
    "CREATE TRIGGER audit_entries_delete BEFORE DELETE ON audit_entries \
     BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END",
];

const POSTGRES: [&str; 8] = [
    "CREATE TABLE audit_retention (id bigint PRIMARY KEY CHECK (id = 1), deletable_before timestamptz NOT NULL)",
    "INSERT INTO audit_retention VALUES (1, '0001-01-01T00:00:00+00:00')",
    "CREATE OR REPLACE FUNCTION audit_retention_grows() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN \
       IF TG_OP = 'UPDATE' AND NEW.deletable_before >= OLD.deletable_before \
         AND NEW.deletable_before <= clock_timestamp() - interval '30 days' THEN RETURN NEW; END IF; \
       RAISE EXCEPTION 'audit entries of the last 30 days are never deleted' \
       USING ERRCODE = 'restrict_violation'; \
     END $$",
    "CREATE TRIGGER audit_retention_grows BEFORE UPDATE OR DELETE ON audit_retention \
     FOR EACH ROW EXECUTE FUNCTION audit_retention_grows()",
    "DROP TRIGGER audit_entries_stay ON audit_entries",
    "CREATE TRIGGER audit_entries_stay BEFORE UPDATE OR TRUNCATE ON audit_entries \
     FOR EACH STATEMENT EXECUTE FUNCTION audit_entries_stay()",
    "CREATE OR REPLACE FUNCTION audit_entries_expire() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN \
       IF OLD.at < (SELECT deletable_before FROM audit_retention) THEN RETURN OLD; END IF; \
       RAISE EXCEPTION 'audit entries are never deleted before their retention ends' \
       USING ERRCODE = 'restrict_violation'; \
     END $$",
    "CREATE TRIGGER audit_entries_expire BEFORE DELETE ON audit_entries \
     FOR EACH ROW EXECUTE FUNCTION audit_entries_expire()",
];

const POSTGRES_DOWN: [&str; 5] = [
    "DROP TRIGGER audit_entries_expire ON audit_entries",
    "DROP FUNCTION audit_entries_expire()",
    "DROP TRIGGER audit_entries_stay ON audit_entries",
    "CREATE TRIGGER audit_entries_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries \
     FOR EACH STATEMENT EXECUTE FUNCTION audit_entries_stay()",
    "DROP TRIGGER audit_retention_grows ON audit_retention",
];
