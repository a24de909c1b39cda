//! Conversations: agents talking about a topic, turn by turn.

use sea_orm::entity::prelude::*;

use crate::values::{ConversationStatus, IdList, TurnStrategy};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "conversations")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub topic: String,
    pub circle_id: Option<i64>,
    pub turn_strategy: TurnStrategy,
    pub max_turns: Option<i64>,
    pub status: ConversationStatus,
    pub initial_prompt: Option<String>,
    pub summary: Option<String>,
    /// The number of the last message; 0 before the first.
    pub turn_count: i64,
    /// The agents whose turn it is; empty if any participant may speak.
    pub next_speakers: IdList,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    /// Incremented by every change.
    pub revision: i64,
    #[sea_orm(belongs_to, from = "circle_id", to = "id")]
    pub circle: BelongsTo<Option<super::circle::Entity>>,
    #[sea_orm(has_many)]
    pub messages: HasMany<super::message::Entity>,
}

crate::revision::versioned!();
