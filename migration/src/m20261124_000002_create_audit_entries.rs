//! The audit trail: an entry for every change. Triggers refuse to change or delete an entry.
//!
//! Each filter of the list has an index that ends in the id, the order of the list. The index by key
//! leaves out entries without a key: nothing filters for them, and without API keys they are all.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("audit_entries")
                    .col(big_pk_auto("id"))
                    .col(timestamp_with_time_zone("at"))
                    .col(big_integer_null("key_id"))
                    .col(text("action"))
                    .col(text("resource"))
                    .col(big_integer_null("resource_id"))
                    .col(text_null("name"))
                    .col(ddl::json("fields", "[]"))
                    .col(big_integer_null("revision"))
                    .col(text_null("request_id"))
                    .to_owned(),
            )
            .await?;
        ddl::run(
            manager,
            &[
                "CREATE INDEX audit_entries_at ON audit_entries (at, id)",
                "CREATE INDEX audit_entries_key ON audit_entries (key_id, id) WHERE key_id IS NOT NULL",
                "CREATE INDEX audit_entries_action ON audit_entries (action, id)",
                "CREATE INDEX audit_entries_resource ON audit_entries (resource, id)",
                "CREATE INDEX audit_entries_resource_id ON audit_entries (resource_id, id)",
            ],
        )
        .await?;
        match manager.get_database_backend() {
            DbBackend::Sqlite => ddl::run(manager, &SQLITE_TRIGGERS).await,
            _ => ddl::run(manager, &POSTGRES_TRIGGERS).await,
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop_table(manager, "audit_entries").await?;
        ddl::run_on_postgres(manager, &["DROP FUNCTION audit_entries_stay()"]).await
    }
}

/// `INSERT OR REPLACE` deletes a row without firing its DELETE trigger, so an existing id is refused.
const SQLITE_TRIGGERS: [&str; 3] = [
    "CREATE TRIGGER audit_entries_update BEFORE UPDATE ON audit_entries \
     BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END",
    "CREATE TRIGGER audit_entries_delete BEFORE DELETE ON audit_entries \
     BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END",
    "CREATE TRIGGER audit_entries_replace BEFORE INSERT ON audit_entries \
     WHEN EXISTS (SELECT 1 FROM audit_entries WHERE id = NEW.id) \
     BEGIN SELECT RAISE(ABORT, 'audit entries are never replaced'); END",
];

const POSTGRES_TRIGGERS: [&str; 2] = [
    "CREATE OR REPLACE FUNCTION audit_entries_stay() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN RAISE EXCEPTION 'audit entries are never changed or deleted' \
     USING ERRCODE = 'restrict_violation'; END $$",
    "CREATE TRIGGER audit_entries_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries \
     FOR EACH STATEMENT EXECUTE FUNCTION audit_entries_stay()",
];
