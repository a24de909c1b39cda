//! Handles: everything that a runtime needs to start a member, resolved, with the origin of each part. The lint of
//! circles applies the same rules.
//!
//! Imports `agents`, `circles` and what is below the resources. Start with `rules.rs`, which needs no database;
//! `settings.rs` resolves the settings of calls, `related.rs` loads servers and fallback models, and `released.rs` reads what
//! a release holds.

mod api;
mod dto;
mod facts;
mod queries;
mod related;
pub(crate) mod released;
mod rules;
mod settings;
mod tokens;
mod tools;
mod warnings;

pub(crate) use api::HandlesApi;
pub(crate) use dto::CircleHandles;
pub use dto::{Lint, Warning, WarningCode};
pub use queries::lint;
pub(crate) use queries::to_json;
