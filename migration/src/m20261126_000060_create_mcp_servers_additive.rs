//! MCP servers: where agents get their tools from.

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
                    .table("mcp_servers")
                    .col(big_pk_auto("id"))
                    .col(text("name"))
                    .col(text_null("display_name"))
                    .col(text_null("description"))
                    .col(ddl::one_of(
                        "transport",
                        "streamable_http",
                        &["stdio", "streamable_http", "sse"],
                    ))
                    .col(text_null("command"))
                    .col(ddl::json("args", "[]"))
                    .col(text_null("url"))
                    .col(text("env").default("{}"))
                    .col(text("headers").default("{}"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .col(big_integer("revision").default(1))
                    .check(Expr::col("name").ne(""))
                    .to_owned(),
            )
            .await?;
        ddl::search_index(manager, "mcp_servers", &["name", "display_name"]).await?;
        ddl::run(
            manager,
            &[
                "CREATE UNIQUE INDEX mcp_servers_name_unique ON mcp_servers (name)",
                "CREATE INDEX mcp_servers_created ON mcp_servers (created_at, id)",
                "CREATE INDEX mcp_servers_updated ON mcp_servers (updated_at, id)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop_table(manager, "mcp_servers").await
    }
}
