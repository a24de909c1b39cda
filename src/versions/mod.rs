//! Versions of agents: what an agent is, apart from what it is doing, as each change left it.
//!
//! A resource that changes agents calls [`next`] for the number to save with the row, and [`record()`] with the rows that result.
//! The agents are locked then, so numbers have no gaps. Who changes many takes them in groups
//! ([`lock`], [`in_groups`]), because their prompts may be long. May be used by every resource that changes agents.

mod definition;
mod record;

pub(crate) use definition::{AgentDefinition, AgentDefinitionRow};
pub(crate) use record::{in_groups, lock, next, next_in_sql, record, record_first, size, without};
