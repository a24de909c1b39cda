//! What a conversation looks like on the wire.

use chrono::{DateTime, Utc};
use entity::{
    conversation, participant,
    values::{ConversationStatus, IdList, TurnStrategy, now},
};
use poem_openapi::{Object, types::MaybeUndefined};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
};
use serde::Serialize;

use super::messages::dto::Message;
use super::queries::ParticipantRow;
use crate::http::Patch;

/// A conversation: agents talking about a topic, turn by turn. Every message is a turn.
#[derive(Debug, Object, Serialize)]
pub(crate) struct Conversation {
    /// Assigned by the service.
    pub(crate) id: i64,
    /// What it is about.
    pub(crate) topic: String,
    /// The circle it belongs to.
    #[oai(nullable)]
    pub(crate) circle_id: Option<i64>,
    /// Who speaks next.
    pub(crate) turn_strategy: TurnStrategy,
    /// Turns at most; null for no limit.
    #[oai(nullable)]
    pub(crate) max_turns: Option<i64>,
    /// Whether it goes on.
    pub(crate) status: ConversationStatus,
    /// What it starts from.
    #[oai(nullable)]
    pub(crate) initial_prompt: Option<String>,
    /// What came of it.
    #[oai(nullable)]
    pub(crate) summary: Option<String>,
    /// Turns taken so far: the number of the last message.
    pub(crate) turn_count: i64,
    /// The agents whose turn it is; empty where anyone may speak. Users may always speak.
    pub(crate) next_speakers: IdList,
    /// When it was created (UTC).
    pub(crate) created_at: DateTime<Utc>,
    /// When it was last changed or spoken in (UTC).
    pub(crate) updated_at: DateTime<Utc>,
    /// The agents that take part, in the order of their turns; only with `include=participants`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) participants: Option<Vec<Participant>>,
    /// The last message, where there is one; only with `include=last_message`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_message: Option<Message>,
}

impl From<conversation::Model> for Conversation {
    fn from(row: conversation::Model) -> Self {
        let conversation::Model {
            id,
            topic,
            circle_id,
            turn_strategy,
            max_turns,
            status,
            initial_prompt,
            summary,
            turn_count,
            next_speakers,
            created_at,
            updated_at,
            revision: _,
        } = row;
        Self {
            id,
            topic,
            circle_id,
            turn_strategy,
            max_turns,
            status,
            initial_prompt,
            summary,
            turn_count,
            next_speakers,
            created_at,
            updated_at,
            participants: None,
            last_message: None,
        }
    }
}

/// An agent that takes part in a conversation.
#[derive(Clone, Debug, Object, Serialize)]
pub(crate) struct Participant {
    /// The agent.
    pub(crate) agent_id: i64,
    /// The agent's name.
    pub(crate) agent_name: String,
    /// When it joined (UTC).
    pub(crate) joined_at: DateTime<Utc>,
}

impl From<ParticipantRow> for Participant {
    fn from(ParticipantRow(row, agent_name): ParticipantRow) -> Self {
        let participant::Model {
            id: _,
            conversation_id: _,
            agent_id,
            joined_at,
        } = row;
        Self {
            agent_id,
            agent_name,
            joined_at,
        }
    }
}

/// A conversation to create.
#[derive(Clone, Debug, Object)]
pub(crate) struct ConversationCreate {
    /// What it is about.
    #[oai(validator(min_length = 1, max_length = 500))]
    topic: String,
    /// Name of the circle it belongs to.
    #[oai(nullable, validator(min_length = 1, max_length = 64))]
    pub(crate) circle: Option<String>,
    /// The agents that take part, in the order of their turns. Where it is not given, the active
    /// members of the circle in the roster's order.
    #[oai(nullable)]
    pub(crate) participants: Option<IdList>,
    /// Who speaks next; `free_form` where it is not given.
    #[oai(default)]
    turn_strategy: TurnStrategy,
    /// Turns at most; null for no limit.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "1000000")))]
    max_turns: Option<i64>,
    /// What it starts from.
    #[oai(nullable, validator(max_length = 100000))]
    initial_prompt: Option<String>,
}

/// All but the circle and whose turn it is; the query finds out.
impl From<ConversationCreate> for conversation::ActiveModel {
    fn from(new: ConversationCreate) -> Self {
        let ConversationCreate {
            topic,
            circle: _,
            participants: _,
            turn_strategy,
            max_turns,
            initial_prompt,
        } = new;
        let now = now();
        Self {
            id: NotSet,
            topic: Set(topic),
            circle_id: Set(None),
            turn_strategy: Set(turn_strategy),
            max_turns: Set(max_turns),
            status: Set(ConversationStatus::Active),
            initial_prompt: Set(initial_prompt),
            summary: Set(None),
            turn_count: Set(0),
            next_speakers: Set(IdList::default()),
            created_at: Set(now),
            updated_at: Set(now),
            revision: Set(1),
        }
    }
}

/// What to change of a conversation.
#[derive(Clone, Debug, Object)]
pub(crate) struct ConversationUpdate {
    /// What it is about.
    #[oai(validator(min_length = 1, max_length = 500))]
    topic: Option<String>,
    /// Who speaks next. A change begins the order of turns anew.
    turn_strategy: Option<TurnStrategy>,
    /// Turns at most; null for no limit.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "1000000")))]
    max_turns: MaybeUndefined<i64>,
    /// Whether it goes on.
    status: Option<ConversationStatus>,
    /// What it starts from; null clears it.
    #[oai(nullable, validator(max_length = 100000))]
    initial_prompt: MaybeUndefined<String>,
    /// What came of it; null clears it.
    #[oai(nullable, validator(max_length = 100000))]
    summary: MaybeUndefined<String>,
}

impl From<ConversationUpdate> for conversation::ActiveModel {
    fn from(patch: ConversationUpdate) -> Self {
        let ConversationUpdate {
            topic,
            turn_strategy,
            max_turns,
            status,
            initial_prompt,
            summary,
        } = patch;
        let mut row = <Self as ActiveModelTrait>::default();
        topic.apply_to(&mut row.topic);
        turn_strategy.apply_to(&mut row.turn_strategy);
        max_turns.apply_to(&mut row.max_turns);
        status.apply_to(&mut row.status);
        initial_prompt.apply_to(&mut row.initial_prompt);
        summary.apply_to(&mut row.summary);
        row
    }
}

/// An agent to let take part.
#[derive(Clone, Debug, Object)]
pub(crate) struct ParticipantCreate {
    /// The agent.
    #[oai(validator(minimum(value = "1")))]
    pub(crate) agent_id: i64,
}
