//! Messages of conversations, and transcripts.
//!
//! Imports `conversations`. Start with `queries.rs`.

mod api;
pub(crate) mod dto;
mod entries;
mod queries;
mod transcript;

pub(crate) use api::MessagesApi;
