//! Agents: a prompt, skills and a model under one name. The list of a model's agents is here, too.
//!
//! Imports `members`, because deleting an agent ends its memberships, `models`, and what is below the resources.
//! Start with `api.rs`.

mod api;
pub(crate) mod dto;
pub(crate) mod queries;

pub(crate) use api::AgentsApi;
