//! Models. The list of a provider's models is here, too.
//!
//! Imports `providers` and what is below the resources. Start with `dto.rs`.

mod api;
pub(crate) mod dto;
pub(crate) mod facts;
pub(crate) mod queries;

pub(crate) use api::ModelsApi;
