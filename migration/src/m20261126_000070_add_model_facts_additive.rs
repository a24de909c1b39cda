//! More of what price lists state about models: what a model accepts and supports, its prices by the length of
//! the request and by other units, and where they are from; and the fields that an import leaves alone.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const FLAGS: [(&str, bool); 7] = [
    ("accepts_sampling", true),
    ("supports_response_schema", false),
    ("supports_prompt_caching", false),
    ("supports_pdf_input", false),
    ("supports_audio_input", false),
    ("supports_web_search", false),
    ("supports_computer_use", false),
];

const JSON: [(&str, &str); 4] = [
    ("reasoning_efforts", "[]"),
    ("price_tiers", "[]"),
    ("prices", "{}"),
    ("pinned_fields", "[]"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (json, time) = match manager.get_database_backend() {
            DbBackend::Sqlite => ("jsonb_text", "timestamp_with_timezone_text"),
            _ => ("jsonb", "timestamp with time zone"),
        };
        let flags =
            FLAGS.map(|(name, default)| format!("{name} boolean NOT NULL DEFAULT {default}"));
        let lists = JSON.map(|(name, empty)| format!("{name} {json} NOT NULL DEFAULT '{empty}'"));
        let source = ["price_source text".to_owned(), format!("priced_at {time}")];
        for column in flags.iter().chain(&lists).chain(&source) {
            let statement = format!("ALTER TABLE models ADD COLUMN {column}");
            ddl::run(manager, &[&statement]).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let flags = FLAGS.iter().map(|(name, _)| *name);
        let json = JSON.iter().map(|(name, _)| *name);
        for name in flags.chain(json).chain(["price_source", "priced_at"]) {
            let statement = format!("ALTER TABLE models DROP COLUMN {name}");
            ddl::run(manager, &[&statement]).await?;
        }
        Ok(())
    }
}
