//! Handles: what a runtime starts a member from, resolved, with the source of every part. And lint,
//! which asks the same rules what is wrong with a circle.

mod api;
mod dto;
mod facts;
mod queries;
mod resolved;
mod rules;

pub(crate) use api::HandlesApi;
pub use dto::{Lint, Warning, WarningCode};
pub use queries::lint;
