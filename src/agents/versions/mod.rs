//! The versions of an agent: reading them, comparing them, and returning to one.

mod api;
mod dto;
pub(crate) mod queries;

pub(crate) use api::AgentVersionsApi;
