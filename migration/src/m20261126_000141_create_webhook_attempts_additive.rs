//! The attempts to deliver to webhooks, of which the last ones of each are kept.

use sea_orm_migration::{prelude::*, schema::*};

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut webhook = ForeignKey::create()
            .name("webhook_attempts_webhook_fk")
            .from("webhook_attempts", "webhook_id")
            .to("webhooks", "id")
            .on_delete(ForeignKeyAction::Cascade)
            .to_owned();
        let attempts = Table::create()
            .table("webhook_attempts")
            .col(big_pk_auto("id"))
            .col(big_integer("webhook_id"))
            .col(timestamp_with_time_zone("at"))
            .col(text("message_id"))
            .col(text("event"))
            .col(text_null("change"))
            .col(integer_null("status"))
            .col(big_integer("duration_ms"))
            .col(text_null("error"))
            .foreign_key(&mut webhook)
            .to_owned();
        manager.create_table(attempts).await?;
        let index = "CREATE INDEX webhook_attempts_of_webhook ON webhook_attempts (webhook_id, id)";
        ddl::run(manager, &[index]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop_table(manager, "webhook_attempts").await
    }
}
