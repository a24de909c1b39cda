//! Webhooks, and how far the delivery of each is. The latter changes with every message and is narrow, so that PostgreSQL
//! updates it in place.

use sea_orm_migration::{prelude::*, schema::*};

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let reasons = ["failing", "gone", "cursor_expired"];
        let webhooks = Table::create()
            .table("webhooks")
            .col(big_pk_auto("id"))
            .col(text("name").check(Expr::col("name").ne("")))
            .col(text_null("description"))
            .col(text("url"))
            .col(ddl::json("resources", "[]"))
            .col(ddl::json("actions", "[]"))
            .col(big_integer_null("circle_id"))
            .col(ddl::flag("is_enabled", true))
            .col(text("secret"))
            .col(text_null("previous_secret"))
            .col(timestamp_with_time_zone_null("previous_secret_until"))
            .col(timestamp_with_time_zone_null("paused_at"))
            .col(text_null("pause_reason").check(Expr::col("pause_reason").is_in(reasons)))
            .col(timestamp_with_time_zone("created_at"))
            .col(timestamp_with_time_zone("updated_at"))
            .col(big_integer("revision").default(1))
            .to_owned();
        manager.create_table(webhooks).await?;
        let mut webhook = ForeignKey::create()
            .name("webhook_deliveries_webhook_fk")
            .from("webhook_deliveries", "webhook_id")
            .to("webhooks", "id")
            .on_delete(ForeignKeyAction::Cascade)
            .to_owned();
        let deliveries = Table::create()
            .table("webhook_deliveries")
            .col(big_integer("webhook_id").primary_key())
            .col(text("cursor"))
            .col(timestamp_with_time_zone_null("failing_since"))
            .col(
                big_integer("failures")
                    .default(0)
                    .check(Expr::col("failures").gte(0)),
            )
            .col(timestamp_with_time_zone_null("next_attempt_at"))
            .col(text_null("holder"))
            .col(timestamp_with_time_zone_null("leased_until"))
            .foreign_key(&mut webhook)
            .to_owned();
        manager.create_table(deliveries).await?;
        ddl::run_on_postgres(
            manager,
            &["ALTER TABLE webhook_deliveries SET (fillfactor = 45)"],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop_table(manager, "webhook_deliveries").await?;
        ddl::drop_table(manager, "webhooks").await
    }
}
