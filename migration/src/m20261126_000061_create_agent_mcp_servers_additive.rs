//! Which agents have tools of which MCP servers. A server that an agent uses can't be deleted.

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
                    .table("agent_mcp_servers")
                    .col(big_integer("agent_id"))
                    .col(big_integer("mcp_server_id"))
                    .primary_key(Index::create().col("agent_id").col("mcp_server_id"))
                    .foreign_key(
                        ForeignKey::create()
                            .name("agent_mcp_servers_agent_fk")
                            .from("agent_mcp_servers", "agent_id")
                            .to("agents", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .foreign_key(
                        ForeignKey::create()
                            .name("agent_mcp_servers_server_fk")
                            .from("agent_mcp_servers", "mcp_server_id")
                            .to("mcp_servers", "id")
                            .on_delete(ForeignKeyAction::Restrict),
                    )
                    .to_owned(),
            )
            .await?;
        let index =
            "CREATE INDEX agent_mcp_servers_server ON agent_mcp_servers (mcp_server_id, agent_id)";
        ddl::run(manager, &[index]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop_table(manager, "agent_mcp_servers").await
    }
}
