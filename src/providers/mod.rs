//! Providers.

mod api;
pub(crate) mod base_url;
pub(crate) mod dto;
pub(crate) mod queries;

pub(crate) use api::ProvidersApi;
