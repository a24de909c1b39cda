//! Models. Prices are integers in units of 10⁻¹⁰ dollars per million tokens: exact, and the same on
//! both databases.
//!
//! A provider can't be deleted while it has models. The foreign key says NO ACTION instead of RESTRICT,
//! because SQLite reports a RESTRICT violation with an error code that SeaORM does not know.

use sea_orm_migration::{prelude::*, schema::*};

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("models")
                    .col(big_pk_auto("id"))
                    .col(big_integer("provider_id"))
                    .col(text("model_name").check(Expr::col("model_name").ne("")))
                    .col(text_null("model_alias"))
                    .col(text_null("mode"))
                    .col(ddl::count("input_price"))
                    .col(ddl::count("output_price"))
                    .col(ddl::count("cache_read_price"))
                    .col(ddl::count("cache_write_price"))
                    .col(ddl::count("context_window"))
                    .col(ddl::count("max_output"))
                    .col(ddl::flag("supports_vision", false))
                    .col(ddl::flag("supports_tools", false))
                    .col(ddl::flag("supports_streaming", false))
                    .col(ddl::flag("supports_reasoning", false))
                    .col(date_null("release_date"))
                    .col(date_null("deprecation_date"))
                    .col(ddl::flag("is_deprecated", false))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .foreign_key(
                        ForeignKey::create()
                            .name("models_provider_fk")
                            .from("models", "provider_id")
                            .to("providers", "id")
                            .on_delete(ForeignKeyAction::NoAction),
                    )
                    .to_owned(),
            )
            .await?;
        ddl::run(
            manager,
            &[
                "CREATE UNIQUE INDEX models_name_unique ON models (provider_id, model_name)",
                "CREATE INDEX models_provider ON models (provider_id, id)",
                "CREATE INDEX models_mode ON models (mode, id)",
                "CREATE INDEX models_deprecated ON models (is_deprecated, id)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop_table(manager, "models").await
    }
}
