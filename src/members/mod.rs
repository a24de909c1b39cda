//! Members.

mod add;
mod api;
mod batch;
mod bulk;
pub(crate) mod dto;
pub(crate) mod queries;
mod replace;

pub(crate) use api::MembersApi;
