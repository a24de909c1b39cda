//! The audit trail as clients read it. `write` inserts the entries.

mod api;
mod dto;
mod queries;

pub(crate) use api::AuditApi;
