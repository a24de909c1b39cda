//! The history of labels. It outlives the labels and the releases that it names.

use sea_orm_migration::{prelude::*, schema::*};

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut circle = ForeignKey::create()
            .name("circle_label_moves_circle_fk")
            .from("circle_label_moves", "circle_id")
            .to("circles", "id")
            .on_delete(ForeignKeyAction::Cascade)
            .to_owned();
        // A revision is a time, so that the key has the moves of a label in their order.
        let mut key = Index::create()
            .col("circle_id")
            .col("label")
            .col("revision")
            .to_owned();
        let moves = Table::create()
            .table("circle_label_moves")
            .col(big_integer("circle_id"))
            .col(text("label"))
            .col(big_integer("revision"))
            .col(timestamp_with_time_zone("at"))
            .col(big_integer_null("from_release"))
            .col(big_integer_null("to_release"))
            .col(big_integer_null("key_id"))
            .col(text_null("request_id"))
            .primary_key(&mut key)
            .foreign_key(&mut circle)
            .to_owned();
        manager.create_table(moves).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop_table(manager, "circle_label_moves").await
    }
}
