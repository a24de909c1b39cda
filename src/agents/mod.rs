//! Agents: a prompt, tools and a model under one name. The lists of the agents of a model and of an MCP server are here,
//! too.
//!
//! Imports `members`, because deleting an agent ends its memberships, `models`, `mcp_servers`, and what is below the
//! resources. Start with `api.rs`; `links.rs` holds what tools and fallback models refer to, `repoint.rs`
//! moves agents to another model, `versions` shows what an agent was before.

mod api;
pub(crate) mod dto;
pub(crate) mod links;
pub(crate) mod queries;
pub(crate) mod repoint;
pub(crate) mod versions;

pub(crate) use api::AgentsApi;
pub(crate) use versions::AgentVersionsApi;
