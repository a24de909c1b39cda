//! The audit trail as clients read it. `write` inserts the entries.
//!
//! Imports no other resource. Start with `dto.rs`, which says what an entry contains.

mod api;
mod dto;
mod queries;

pub(crate) use api::AuditApi;
