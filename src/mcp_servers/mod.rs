//! MCP servers, from which agents get tools. The service never calls them: it tells runtimes where they are.
//!
//! Imports `providers`, for what an address may be, and what is below the resources. Start with `queries.rs`;
//! `in_agents.rs` renames a server in the agents that use it.

mod api;
pub(crate) mod dto;
mod in_agents;
pub(crate) mod queries;

pub(crate) use api::McpServersApi;
