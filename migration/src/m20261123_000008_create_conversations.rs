//! Conversations. A conversation outlives its circle.
//!
//! `turn_count` is the number of the last message. An append locks this row, so numbers have no gaps,
//! and the last message is found without counting.

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
                    .table("conversations")
                    .col(big_pk_auto("id"))
                    .col(text("topic").check(Expr::col("topic").ne("")))
                    .col(big_integer_null("circle_id"))
                    .col(ddl::one_of(
                        "turn_strategy",
                        "free_form",
                        &["round_robin", "mention_based", "free_form"],
                    ))
                    .col(big_integer_null("max_turns").check(Expr::col("max_turns").gte(1)))
                    .col(ddl::one_of(
                        "status",
                        "active",
                        &["active", "paused", "completed"],
                    ))
                    .col(text_null("initial_prompt"))
                    .col(text_null("summary"))
                    .col(
                        big_integer("turn_count")
                            .default(0)
                            .check(Expr::col("turn_count").gte(0)),
                    )
                    .col(ddl::json("next_speakers", "[]"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .foreign_key(
                        ForeignKey::create()
                            .name("conversations_circle_fk")
                            .from("conversations", "circle_id")
                            .to("circles", "id")
                            .on_delete(ForeignKeyAction::SetNull),
                    )
                    .to_owned(),
            )
            .await?;
        ddl::run(
            manager,
            &[
                "CREATE INDEX conversations_circle ON conversations (circle_id, id)",
                "CREATE INDEX conversations_status ON conversations (status, id)",
            ],
        )
        .await?;
        ddl::search_index(manager, "conversations", &["topic"]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop_table(manager, "conversations").await
    }
}
