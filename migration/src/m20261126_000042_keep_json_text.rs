//! Free JSON on PostgreSQL: `text`, as on SQLite, instead of `jsonb`, which reorders members and rewrites
//! numbers. A check holds what the type held.
//!
//! Lists of strings and ids stay `jsonb`, which keeps them as they are, and which agents are found by.

use sea_orm_migration::prelude::*;

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Table, column and default.
const COLUMNS: [(&str, &str, &str); 5] = [
    ("providers", "config", "{}"),
    ("agents", "metadata", "{}"),
    ("circles", "settings", "{}"),
    ("members", "permissions", "{}"),
    ("messages", "tool_calls", "[]"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column, empty) in COLUMNS {
            let check = format!(
                ", ADD CONSTRAINT {table}_{column}_json CHECK ({column}::json IS NOT NULL)"
            );
            change(manager, [table, column, empty, "text"], &check).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column, empty) in COLUMNS {
            let check = format!("ALTER TABLE {table} DROP CONSTRAINT {table}_{column}_json");
            ddl::run_on_postgres(manager, &[&check]).await?;
            change(manager, [table, column, empty, "jsonb"], "").await?;
        }
        Ok(())
    }
}

/// Changes the type of a column. A trigger on the column forbids that, so the table's triggers are dropped
/// and created again.
async fn change(
    manager: &SchemaManager<'_>,
    [table, column, empty, new_type]: [&str; 4],
    check: &str,
) -> Result<(), DbErr> {
    let sql = format!(
        "DO $$ DECLARE
            found record;
            definitions text[] := '{{}}';
            definition text;
        BEGIN
            FOR found IN
                SELECT tgname, pg_get_triggerdef(oid) AS definition FROM pg_trigger
                WHERE tgrelid = '{table}'::regclass AND NOT tgisinternal
            LOOP
                definitions := definitions || found.definition;
                EXECUTE format('DROP TRIGGER %I ON {table}', found.tgname);
            END LOOP;
            ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT,
                ALTER COLUMN {column} TYPE {new_type} USING {column}::{new_type},
                ALTER COLUMN {column} SET DEFAULT '{empty}'{check};
            FOREACH definition IN ARRAY definitions LOOP
                EXECUTE definition;
            END LOOP;
        END $$"
    );
    ddl::run_on_postgres(manager, &[&sql]).await
}
