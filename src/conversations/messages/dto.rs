//! What a message looks like on the wire.

use entity::{
    message,
    values::{Author, IdList, JsonList},
};
use poem_openapi::{Enum, Object};
use sea_orm::Order;
use serde::Serialize;

use crate::rows::{Json, Text, Timestamp, row};

row! {
    /// A message: one turn of a conversation.
    #[derive(Clone, Debug, Object, Serialize)]
    #[oai(rename = "Message")]
    pub(crate) struct MessageRow<'r> of message without id {
        /// The message's number in the conversation: 1 for the first, without gaps.
        pub(crate) number: i64,
        /// The conversation's id.
        pub(crate) conversation_id: i64,
        /// Who wrote the message.
        pub(crate) author: Author,
        /// The agent that wrote the message; null for other authors, and after the agent's row was removed.
        #[oai(nullable)]
        pub(crate) agent_id: Option<i64>,
        /// The author's name at the time: the agent's, the user's or the tool's.
        pub(crate) author_name: Text<'r>,
        /// The text of the message; empty if it only calls tools.
        pub(crate) content: Text<'r>,
        /// The agents that the message addresses.
        pub(crate) mentions: Json<'r, IdList>,
        /// Tool calls, interpreted by the runtime.
        pub(crate) tool_calls: Json<'r, JsonList>,
        /// The number of the message that this one replies to.
        #[oai(nullable)]
        pub(crate) reply_to: Option<i64>,
        /// When it was appended (UTC).
        pub(crate) created_at: Timestamp<'r>,
    }
}

/// A row that owns its values.
pub(crate) type Message = MessageRow<'static>;

/// A message to append. An agent speaks in its turn; users, tools and the system at any time.
#[derive(Clone, Debug, Object)]
pub(crate) struct MessageCreate {
    /// Who speaks; by default `agent` if `agent_id` is set, and `user` otherwise.
    pub(crate) author: Option<Author>,
    /// The agent that speaks; only for agents.
    #[oai(nullable, validator(minimum(value = "1")))]
    pub(crate) agent_id: Option<i64>,
    /// The name of the user or the tool; by default `user`, `tool` or `system`. Not accepted for agents.
    #[oai(nullable, validator(min_length = 1, max_length = 200))]
    pub(crate) author_name: Option<String>,
    /// The text of the message. May be empty, null or absent if the message calls tools.
    #[oai(nullable, validator(max_length = 500000))]
    pub(crate) content: Option<String>,
    /// The agents that the message addresses. They must participate in the conversation.
    #[oai(default)]
    pub(crate) mentions: IdList,
    /// The tools that the author called, interpreted by the runtime.
    #[oai(default)]
    pub(crate) tool_calls: JsonList,
    /// The number of the message that this one replies to.
    #[oai(nullable, validator(minimum(value = "1")))]
    pub(crate) reply_to: Option<i64>,
}

/// The order of a list of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum MessageOrder {
    /// The first message first.
    #[default]
    Asc,
    /// The last message first.
    Desc,
}

impl From<MessageOrder> for Order {
    fn from(order: MessageOrder) -> Self {
        match order {
            MessageOrder::Asc => Self::Asc,
            MessageOrder::Desc => Self::Desc,
        }
    }
}

/// The form of a transcript.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum TranscriptFormat {
    /// Plain text.
    #[default]
    Text,
    /// Markdown, a heading for each message.
    Markdown,
}
