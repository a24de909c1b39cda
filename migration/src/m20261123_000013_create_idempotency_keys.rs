//! Idempotency keys: the response to a POST, stored for a while, so that a repeated request gets the
//! same response and changes nothing.

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
                    .table("idempotency_keys")
                    .col(big_pk_auto("id"))
                    .col(text("caller"))
                    .col(text("method"))
                    .col(text("path"))
                    .col(text("key"))
                    .col(text("digest"))
                    .col(integer("status"))
                    .col(text_null("location"))
                    .col(text_null("etag"))
                    .col(text("body"))
                    .col(timestamp_with_time_zone("created_at"))
                    .to_owned(),
            )
            .await?;
        ddl::run(
            manager,
            &[
                "CREATE UNIQUE INDEX idempotency_keys_unique \
                 ON idempotency_keys (caller, method, path, key)",
                "CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop_table(manager, "idempotency_keys").await
    }
}
