//! What else a runtime builds an agent from: tools, parameters and fallback models; and the parameters of members and
//! models.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Table, column and default of JSON that is kept as text.
const TEXTS: [(&str, &str, &str); 4] = [
    ("agents", "tools", "[]"),
    ("agents", "params", "{}"),
    ("members", "params", "{}"),
    ("models", "default_params", "{}"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        for (table, column, empty) in TEXTS {
            // Not validated: that would read the table, of which all rows have the default.
            let check = format!(
                ", ADD CONSTRAINT {table}_{column}_json CHECK ({column}::json IS NOT NULL) NOT VALID"
            );
            let check = if is_postgres { &*check } else { "" };
            let add = format!(
                "ALTER TABLE {table} ADD COLUMN {column} text NOT NULL DEFAULT '{empty}'{check}"
            );
            ddl::run(manager, &[&add]).await?;
        }
        let json = if is_postgres { "jsonb" } else { "jsonb_text" };
        let add = format!(
            "ALTER TABLE agents ADD COLUMN fallback_model_ids {json} NOT NULL DEFAULT '[]'"
        );
        ddl::run(manager, &[&add]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop =
            |(table, column): (&str, &str)| format!("ALTER TABLE {table} DROP COLUMN {column}");
        let texts = TEXTS.map(|(table, column, _)| drop((table, column)));
        for statement in texts
            .iter()
            .chain([&drop(("agents", "fallback_model_ids"))])
        {
            ddl::run(manager, &[statement]).await?;
        }
        Ok(())
    }
}
