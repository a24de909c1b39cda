//! Circles, and the roster: a circle with everything a runtime needs of its members.

mod api;
mod cache;
pub(crate) mod dto;
pub(crate) mod queries;
mod roster;

pub(crate) use api::CirclesApi;
pub(crate) use cache::{CacheStatistics, RosterCache};
