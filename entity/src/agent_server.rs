//! Which agents have tools of which MCP servers: what their `tools` name, as rows.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "agent_mcp_servers")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub agent_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub mcp_server_id: i64,
    #[sea_orm(belongs_to, from = "agent_id", to = "id")]
    pub agent: BelongsTo<super::agent::Entity>,
    #[sea_orm(belongs_to, from = "mcp_server_id", to = "id")]
    pub server: BelongsTo<super::mcp_server::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
