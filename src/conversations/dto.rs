//! What a conversation looks like on the wire.

use chrono::{DateTime, Utc};
use entity::{
    conversation, participant,
    values::{ConversationStatus, IdList, TurnStrategy},
};
use poem_openapi::{Object, types::MaybeUndefined};
use sea_orm::ActiveValue::{NotSet, Set};
use serde::Serialize;

use super::{messages::dto::MessageRow, participants::ParticipantRow};
use crate::{
    http::input,
    rows::{Json, Text, Timestamp, row},
};

row! {
    /// A conversation: agents talking about a topic, turn by turn. Every message is a turn.
    #[derive(Debug, Object, Serialize)]
    #[oai(rename = "Conversation")]
    pub(crate) struct ConversationRow<'r> of conversation without revision {
        /// Assigned by the service.
        pub(crate) id: i64,
        /// What the conversation is about.
        pub(crate) topic: Text<'r>,
        /// The circle that the conversation belongs to.
        #[oai(nullable)]
        pub(crate) circle_id: Option<i64>,
        /// Who speaks next.
        pub(crate) turn_strategy: TurnStrategy,
        /// Maximum number of turns; null for no limit.
        #[oai(nullable)]
        pub(crate) max_turns: Option<i64>,
        /// Whether messages can be appended.
        pub(crate) status: ConversationStatus,
        /// The prompt that the conversation starts from.
        #[oai(nullable)]
        pub(crate) initial_prompt: Option<Text<'r>>,
        /// The outcome of the conversation.
        #[oai(nullable)]
        pub(crate) summary: Option<Text<'r>>,
        /// Number of turns taken, which is the number of the last message.
        pub(crate) turn_count: i64,
        /// The agents whose turn it is; empty if any agent may speak. Users, tools and the system may
        /// always speak. Deleted agents are passed over.
        pub(crate) next_speakers: Json<'r, IdList>,
        /// When it was created (UTC).
        pub(crate) created_at: Timestamp<'r>,
        /// When the conversation last changed or had a message appended (UTC).
        pub(crate) updated_at: Timestamp<'r>,
    } with {
        /// The agents that participate, in the order of their turns; only with `include=participants`.
        #[oai(skip_serializing_if_is_none)]
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(crate) participants: Option<Vec<Participant>>,
        /// The last message, if there is one; only with `include=last_message`.
        #[oai(skip_serializing_if_is_none)]
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(crate) last_message: Option<MessageRow<'r>>,
    }
}

/// A row that owns its values.
pub(crate) type Conversation = ConversationRow<'static>;

/// An agent that participates in a conversation.
#[derive(Clone, Debug, Object, Serialize)]
pub(crate) struct Participant {
    /// The agent's id.
    pub(crate) agent_id: i64,
    /// The agent's name.
    pub(crate) agent_name: String,
    /// When it joined (UTC).
    pub(crate) joined_at: DateTime<Utc>,
}

impl From<ParticipantRow> for Participant {
    fn from(found: ParticipantRow) -> Self {
        let ParticipantRow {
            row,
            agent_name,
            can_speak: _,
        } = found;
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

input! {
    conversation;
    /// A conversation to create.
    create ConversationCreate;
    /// Changes to a conversation.
    update ConversationUpdate;
    not_columns {
        /// Name of the circle that the conversation belongs to.
        #[oai(nullable, validator(min_length = 1, max_length = 64))]
        circle: Option<String>,
        /// The agents that participate, in the order of their turns. Defaults to the active members of the
        /// circle in the roster's order.
        #[oai(nullable)]
        participants: Option<IdList>,
    }
    required {
        /// What the conversation is about.
        #[oai(validator(min_length = 1, max_length = 500))]
        topic: String,
    }
    nullable {
        /// Maximum number of turns; null for no limit.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000000")))]
        max_turns: i64,
        /// The prompt that the conversation starts from.
        #[oai(validator(max_length = 500000))]
        initial_prompt: String,
    }
    defaulted {
        /// Who speaks next. A new conversation is `free_form` by default. A change restarts the order of
        /// turns.
        turn_strategy: TurnStrategy,
    }
    update_only {
        /// Whether messages can be appended.
        status: Option<ConversationStatus>,
        /// The outcome of the conversation.
        #[oai(nullable, validator(max_length = 500000))]
        summary: MaybeUndefined<String>,
    }
    row {
        id: NotSet,
        circle_id: NotSet,
        status: Set(ConversationStatus::Active),
        summary: Set(None),
        turn_count: Set(0),
        next_speakers: NotSet,
        created_at: NotSet,
        updated_at: NotSet,
        revision: NotSet,
    }
}

/// An agent to add to a conversation.
#[derive(Clone, Debug, Object)]
pub(crate) struct ParticipantCreate {
    /// The agent's id.
    #[oai(validator(minimum(value = "1")))]
    pub(crate) agent_id: i64,
}
