//! Whose turn it is. Facts in, decisions out; no database.
//!
//! A participant whose agent is deleted can't speak: its turn is passed over, and it can't be mentioned.

use std::fmt::Display;

use entity::{
    conversation, message,
    values::{Author, ConversationStatus, IdList, TurnStrategy},
};

use super::participants::ParticipantRow;
use crate::error::Error;

/// Whose turn it is before the first message. `speakers` are in the order of their turns.
pub(crate) fn at_start(strategy: TurnStrategy, speakers: impl IntoIterator<Item = i64>) -> IdList {
    match strategy {
        TurnStrategy::RoundRobin => IdList(speakers.into_iter().take(1).collect()),
        TurnStrategy::MentionBased | TurnStrategy::FreeForm => IdList::default(),
    }
}

/// The agents that can speak.
pub(crate) fn speakers(participants: &[ParticipantRow]) -> impl Iterator<Item = i64> {
    let speaking = participants.iter().filter(|row| row.can_speak);
    speaking.map(|found| found.row.agent_id)
}

/// The participant with this agent, if it can speak.
///
/// # Errors
/// An agent that takes no part or was deleted, named at `pointer`.
pub(crate) fn participant(
    participants: &[ParticipantRow],
    agent_id: i64,
    pointer: impl Display,
) -> Result<&ParticipantRow, Error> {
    let invalid = |detail| Error::invalid(pointer.to_string(), detail);
    match participants
        .iter()
        .find(|found| found.row.agent_id == agent_id)
    {
        None => Err(invalid("this agent takes no part in the conversation")),
        Some(found) if !found.can_speak => Err(invalid("this agent was deleted")),
        Some(found) => Ok(found),
    }
}

/// Whether the author may speak now.
///
/// # Errors
/// A conversation that is not active or has no turns left, an agent that takes no part or was deleted, or
/// one whose turn it is not. Other authors may always speak.
pub(crate) fn check(
    conversation_row: &conversation::Model,
    participants: &[ParticipantRow],
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
    participant(participants, agent_id, "#/agent_id")?;
    let next = pass_over(
        conversation_row.turn_strategy,
        &conversation_row.next_speakers,
        participants,
    );
    if !next.0.is_empty() && !next.0.contains(&agent_id) {
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
    participants: &[ParticipantRow],
    said: &message::Model,
) -> IdList {
    let next = &conversation_row.next_speakers;
    let mentions = &said.mentions;
    match (conversation_row.turn_strategy, said.author, said.agent_id) {
        (TurnStrategy::FreeForm, ..) => IdList::default(),
        (TurnStrategy::MentionBased, ..) if !mentions.0.is_empty() => mentions.clone(),
        // It speaks again with the results of its tools.
        (_, Author::Agent, Some(speaker)) if said.content.is_empty() => IdList(vec![speaker]),
        (TurnStrategy::MentionBased, Author::Agent | Author::User, _) => IdList::default(),
        (TurnStrategy::RoundRobin, Author::Agent, Some(speaker)) => {
            next_in_turn(participants, speaker)
        }
        // The others speak out of turn.
        (strategy, ..) => pass_over(strategy, next, participants),
    }
}

/// Whose turn it is without those that can't speak.
pub(crate) fn pass_over(
    strategy: TurnStrategy,
    next: &IdList,
    participants: &[ParticipantRow],
) -> IdList {
    let can_speak = |id: &i64| speakers(participants).any(|speaker| speaker == *id);
    match (strategy, next.0.first()) {
        (TurnStrategy::RoundRobin, Some(first)) if !can_speak(first) => {
            next_in_turn(participants, *first)
        }
        _ => IdList(next.0.iter().copied().filter(can_speak).collect()),
    }
}

/// The first who can speak after this agent; empty if there is none.
fn next_in_turn(participants: &[ParticipantRow], agent_id: i64) -> IdList {
    let place = participants
        .iter()
        .position(|found| found.row.agent_id == agent_id);
    let (before, after) = participants.split_at(place.map_or(0, |place| place + 1));
    let in_turn = speakers(after).chain(speakers(before));
    IdList(in_turn.take(1).collect())
}
