//! Providers. Names are unique regardless of case: "OpenAI" and "openai" can't both exist.

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
                    .table("providers")
                    .col(big_pk_auto("id"))
                    .col(text("name").check(Expr::col("name").ne("")))
                    .col(text_null("display_name"))
                    .col(text("api_type").check(Expr::col("api_type").ne("")))
                    .col(text_null("base_url"))
                    .col(ddl::flag("is_local", false))
                    .col(text_null("api_key_env"))
                    .col(ddl::json("config", "{}"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .to_owned(),
            )
            .await?;
        ddl::run(
            manager,
            &[
                "CREATE UNIQUE INDEX providers_name_unique ON providers (lower(name))",
                "CREATE INDEX providers_local ON providers (is_local, id)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop_table(manager, "providers").await
    }
}
