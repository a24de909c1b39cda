//! Models. The list of a provider's models is here, too.
//!
//! Imports `providers` and what is below the resources. Start with `dto.rs`.

mod api;
mod cost;
mod differences;
pub(crate) mod dto;
mod exact;
pub(crate) mod facts;
pub(crate) mod queries;
pub(crate) mod retirements;

pub(crate) use api::ModelsApi;
pub(crate) use differences::{ModelDifference, differences};
