//! Conversations: their topic, their participants, and whose turn it is. Their messages are in `messages/`.
//!
//! Imports `circles` and what is below the resources. Start with `turns.rs`, the rules of whose turn it is.

mod api;
pub(crate) mod dto;
mod messages;
pub(crate) mod participants;
pub(crate) mod queries;
pub(crate) mod turns;

pub(crate) use api::ConversationsApi;
pub(crate) use messages::MessagesApi;
