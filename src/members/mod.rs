//! Members.

mod api;
pub(crate) mod dto;
pub(crate) mod queries;

pub(crate) use api::MembersApi;
