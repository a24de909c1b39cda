//! Messages: what is said in conversations.

mod api;
pub(crate) mod dto;
mod queries;
mod transcript;

pub(crate) use api::MessagesApi;
