//! Participants: the agents of a conversation, in the order in which they take turns.

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
                    .table("participants")
                    .col(big_pk_auto("id"))
                    .col(big_integer("conversation_id"))
                    .col(big_integer("agent_id"))
                    .col(timestamp_with_time_zone("joined_at"))
                    .foreign_key(
                        ForeignKey::create()
                            .name("participants_conversation_fk")
                            .from("participants", "conversation_id")
                            .to("conversations", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .foreign_key(
                        ForeignKey::create()
                            .name("participants_agent_fk")
                            .from("participants", "agent_id")
                            .to("agents", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await?;
        ddl::run(
            manager,
            &[
                "CREATE UNIQUE INDEX participants_agent_unique ON participants (conversation_id, agent_id)",
                "CREATE INDEX participants_agent ON participants (agent_id, conversation_id)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop_table(manager, "participants").await
    }
}
