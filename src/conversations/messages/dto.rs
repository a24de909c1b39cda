//! What a message looks like on the wire.

use chrono::{DateTime, Utc};
use entity::{
    message,
    values::{Author, IdList, JsonList},
};
use poem_openapi::{Enum, Object};
use serde::Serialize;

/// A message: one turn of a conversation.
#[derive(Clone, Debug, Object, Serialize)]
pub(crate) struct Message {
    /// Its place in the conversation: 1 for the first, without gaps.
    pub(crate) number: i64,
    /// The conversation.
    pub(crate) conversation_id: i64,
    /// Who wrote it.
    pub(crate) author: Author,
    /// The agent that wrote it; null for a user, or once the agent is gone for good.
    #[oai(nullable)]
    pub(crate) agent_id: Option<i64>,
    /// The author's name at the time.
    pub(crate) author_name: String,
    /// What was said.
    pub(crate) content: String,
    /// The agents it speaks to.
    pub(crate) mentions: IdList,
    /// Tools it called, as the runtime understands them.
    pub(crate) tool_calls: JsonList,
    /// The number of the message it answers.
    #[oai(nullable)]
    pub(crate) reply_to: Option<i64>,
    /// When it was appended (UTC).
    pub(crate) created_at: DateTime<Utc>,
}

impl From<message::Model> for Message {
    fn from(row: message::Model) -> Self {
        let message::Model {
            id: _,
            conversation_id,
            number,
            author,
            agent_id,
            author_name,
            content,
            mentions,
            tool_calls,
            reply_to,
            created_at,
        } = row;
        Self {
            number,
            conversation_id,
            author,
            agent_id,
            author_name,
            content,
            mentions,
            tool_calls,
            reply_to,
            created_at,
        }
    }
}

/// A message to append: an agent's if `agent_id` is set, and a user's otherwise.
#[derive(Clone, Debug, Object)]
pub(crate) struct MessageCreate {
    /// The agent that speaks; null for a user.
    #[oai(nullable, validator(minimum(value = "1")))]
    pub(crate) agent_id: Option<i64>,
    /// The user's name; `user` by default. Not accepted for agents.
    #[oai(nullable, validator(min_length = 1, max_length = 200))]
    pub(crate) author_name: Option<String>,
    /// The text of the message.
    #[oai(validator(min_length = 1, max_length = 200000))]
    pub(crate) content: String,
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
