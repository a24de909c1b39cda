//! Conversations: their topic, who takes part, and whose turn it is. What is said in them is in
//! `messages`.

mod api;
pub(crate) mod dto;
mod messages;
pub(crate) mod queries;
pub(crate) mod turns;

pub(crate) use api::ConversationsApi;
pub(crate) use messages::MessagesApi;
