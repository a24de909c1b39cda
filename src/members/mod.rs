//! Members: the agents of a circle, added and removed one at a time, in batches, as a whole set, or across circles.
//! The list of an agent's circles is here, too.
//!
//! Imports `circles` and what is below the resources. Start with `queries.rs`; `add.rs` adds a member in one
//! statement, `batch.rs` decides before it writes, `of_agent.rs` ends or restores all memberships of an agent, and
//! `jobs.rs` does so for very many.

mod add;
mod api;
mod batch;
mod bulk;
pub(crate) mod dto;
pub(crate) mod jobs;
pub(crate) mod of_agent;
pub(crate) mod queries;
mod replace;

pub(crate) use api::MembersApi;
