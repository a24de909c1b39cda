//! Messages, numbered from 1 without gaps in each conversation. A message keeps its author's name, so
//! a transcript still names the speaker after the agent was deleted.

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
                    .table("messages")
                    .col(big_pk_auto("id"))
                    .col(big_integer("conversation_id"))
                    .col(big_integer("number").check(Expr::col("number").gte(1)))
                    .col(ddl::one_of("author", "user", &["agent", "user"]))
                    .col(big_integer_null("agent_id"))
                    .col(text("author_name"))
                    .col(text("content"))
                    .col(ddl::json("mentions", "[]"))
                    .col(ddl::json("tool_calls", "[]"))
                    .col(big_integer_null("reply_to").check(Expr::col("reply_to").gte(1)))
                    .col(timestamp_with_time_zone("created_at"))
                    .foreign_key(
                        ForeignKey::create()
                            .name("messages_conversation_fk")
                            .from("messages", "conversation_id")
                            .to("conversations", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .foreign_key(
                        ForeignKey::create()
                            .name("messages_agent_fk")
                            .from("messages", "agent_id")
                            .to("agents", "id")
                            .on_delete(ForeignKeyAction::SetNull),
                    )
                    .to_owned(),
            )
            .await?;
        ddl::run(
            manager,
            &[
                "CREATE UNIQUE INDEX messages_number_unique ON messages (conversation_id, number)",
                "CREATE INDEX messages_agent ON messages (agent_id)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop_table(manager, "messages").await
    }
}
