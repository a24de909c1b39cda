//! MCP servers: where agents get their tools from.

use sea_orm::entity::prelude::*;

use crate::{
    values::{StringList, Transport},
    variables::VariableMap,
};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "mcp_servers")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub name: String,
    pub display_name: Option<String>,
    pub description: Option<String>,
    pub transport: Transport,
    pub command: Option<String>,
    pub args: StringList,
    pub url: Option<String>,
    pub env: VariableMap,
    pub headers: VariableMap,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    /// Grows with every change.
    pub revision: i64,
}

crate::revision::versioned!();
