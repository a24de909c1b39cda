//! Messages of a conversation, numbered from 1 without gaps.

use sea_orm::entity::prelude::*;

use crate::values::{Author, IdList, JsonList};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub conversation_id: i64,
    pub number: i64,
    pub author: Author,
    /// The agent that wrote the message; null for a user.
    pub agent_id: Option<i64>,
    /// The author's name when the message was written.
    pub author_name: String,
    pub content: String,
    pub mentions: IdList,
    pub tool_calls: JsonList,
    /// The number of the message that this one replies to.
    pub reply_to: Option<i64>,
    pub created_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "conversation_id", to = "id")]
    pub conversation: BelongsTo<super::conversation::Entity>,
    #[sea_orm(belongs_to, from = "agent_id", to = "id")]
    pub agent: BelongsTo<Option<super::agent::Entity>>,
}

impl ActiveModelBehavior for ActiveModel {}
