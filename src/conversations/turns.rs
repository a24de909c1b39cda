//! Whose turn it is. Facts in, decisions out; no database.

use entity::{
    conversation, participant,
    values::{Author, ConversationStatus, IdList, TurnStrategy},
};

use crate::error::Error;

/// Whose turn it is before the first message. `participants` are in the order of their turns.
pub(crate) fn at_start(
    strategy: TurnStrategy,
    participants: impl IntoIterator<Item = i64>,
) -> IdList {
    match strategy {
        TurnStrategy::RoundRobin => IdList(participants.into_iter().take(1).collect()),
        TurnStrategy::MentionBased | TurnStrategy::FreeForm => IdList::default(),
    }
}

/// Whether the author may speak now.
///
/// # Errors
/// A conversation that is not active or has no turns left, an agent that takes no part, or one
/// whose turn it is not. Users may always speak.
pub(crate) fn check(
    conversation_row: &conversation::Model,
    participants: &[participant::Model],
    agent_id: Option<i64>,
) -> Result<(), Error> {
    let id = conversation_row.id;
    if conversation_row.status != ConversationStatus::Active {
        return Err(Error::conflict(
            "conversation_not_active",
            format!("conversation {id} is not active"),
        ));
    }
    if let Some(max_turns) = conversation_row.max_turns
        && conversation_row.turn_count >= max_turns
    {
        return Err(Error::conflict(
            "no_turns_left",
            format!("conversation {id} has had all of its {max_turns} turns"),
        ));
    }
    let Some(agent_id) = agent_id else {
        return Ok(());
    };
    if !takes_part(participants, agent_id) {
        return Err(Error::invalid(
            "#/agent_id",
            "this agent takes no part in the conversation",
        ));
    }
    let next = &conversation_row.next_speakers.0;
    if !next.is_empty() && !next.contains(&agent_id) {
        return Err(Error::conflict(
            "not_its_turn",
            format!("it is not the turn of agent {agent_id} in conversation {id}"),
        ));
    }
    Ok(())
}

/// Whose turn it is after a message.
pub(crate) fn after(
    conversation_row: &conversation::Model,
    participants: &[participant::Model],
    author: Author,
    agent_id: Option<i64>,
    mentions: &IdList,
) -> IdList {
    match (conversation_row.turn_strategy, author) {
        (TurnStrategy::FreeForm, _) => IdList::default(),
        (TurnStrategy::MentionBased, _) => mentions.clone(),
        // A user speaks out of turn.
        (TurnStrategy::RoundRobin, Author::User) => conversation_row.next_speakers.clone(),
        (TurnStrategy::RoundRobin, Author::Agent) => {
            let here = participants
                .iter()
                .position(|participant_row| Some(participant_row.agent_id) == agent_id);
            let next = here.map_or(0, |here| (here + 1) % participants.len());
            IdList(
                participants
                    .get(next)
                    .map(|row| row.agent_id)
                    .into_iter()
                    .collect(),
            )
        }
    }
}

/// Whose turn it is after an agent has left.
pub(crate) fn without(
    conversation_row: &conversation::Model,
    participants: &[participant::Model],
    leaving: i64,
) -> IdList {
    let next = &conversation_row.next_speakers;
    if !next.0.contains(&leaving) {
        return next.clone();
    }
    match conversation_row.turn_strategy {
        TurnStrategy::RoundRobin => {
            let after = participants.iter().position(|row| row.agent_id == leaving);
            let in_turn = participants
                .iter()
                .cycle()
                .skip(after.map_or(0, |here| here + 1));
            let mut next = in_turn.take(participants.len()).map(|row| row.agent_id);
            IdList(next.find(|id| *id != leaving).into_iter().collect())
        }
        _ => IdList(next.0.iter().copied().filter(|id| *id != leaving).collect()),
    }
}

pub(crate) fn takes_part(participants: &[participant::Model], agent_id: i64) -> bool {
    participants.iter().any(|row| row.agent_id == agent_id)
}
