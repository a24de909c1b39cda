//! The audit: an entry for every change, left in the transaction of the change.

mod api;
mod change;
mod dto;
mod queries;

pub(crate) use api::AuditApi;
pub(crate) use change::{Action, Change, Fields, Resource};
pub(crate) use queries::{leave, text_to_leave, values_to_leave};
