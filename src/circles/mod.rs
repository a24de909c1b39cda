//! Circles, and the roster: a circle with everything that a runtime needs of its members.
//!
//! Imports no other resource. Start with `roster.rs`, which is what the service exists for; `cache.rs` is the
//! protocol of its cache.

mod api;
mod cache;
mod circle_rows;
pub(crate) mod dto;
pub(crate) mod labels;
pub(crate) mod queries;
mod roster;

pub(crate) use api::CirclesApi;
pub(crate) use circle_rows::{CircleRows, CircleSql};
