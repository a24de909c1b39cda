//! Providers. The smallest resource, to read first: `dto.rs` is what clients see, `api.rs` the operations,
//! `queries.rs` the reads and writes.
//!
//! Imports no other resource.

mod api;
pub(crate) mod base_url;
pub(crate) mod dto;
pub(crate) mod queries;

pub(crate) use api::ProvidersApi;
