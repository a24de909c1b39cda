//! Reads and writes of participants: the agents of a conversation, in the order of their turns.

use std::collections::{BTreeMap, HashMap};

use entity::{
    agent, conversation, member, participant,
    revision::next_in_sql,
    values::{ConversationStatus, IdList, TurnStrategy, now},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set, Unchanged},
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, RelationTrait,
    sea_query::Expr,
};

use super::{queries::get_for_update, turns};
use crate::{
    error::{Error, OnConstraint},
    revision::{HasEtag, Precondition, etag},
    search,
    write::{Action, Change, Resource, UnitOfWork},
};

/// A participant with what its agent's row says of it.
#[derive(Debug, FromQueryResult)]
pub(crate) struct ParticipantRow {
    #[sea_orm(nested)]
    pub(crate) row: participant::Model,
    pub(crate) agent_name: String,
    /// Whether the agent can speak: it is not deleted.
    pub(crate) can_speak: bool,
}

/// A participant never changes.
impl HasEtag for ParticipantRow {
    fn etag(&self) -> String {
        etag(self.row.id, revision(&self.row))
    }
}

/// A participant never changes.
fn revision(row: &participant::Model) -> i64 {
    row.joined_at.timestamp_micros()
}

/// The participants of these conversations by conversation, in one statement; in the order of their
/// turns.
pub(crate) async fn by_conversation(
    db: &impl ConnectionTrait,
    conversations: impl IntoIterator<Item = i64>,
) -> Result<HashMap<i64, Vec<ParticipantRow>>, Error> {
    let ids = search::among(
        db.get_database_backend(),
        participant::Column::ConversationId,
        conversations,
    );
    let rows = participant::Entity::find()
        .join(JoinType::InnerJoin, participant::Relation::Agent.def())
        .column_as(agent::Column::Name, "agent_name")
        .column_as(agent::Column::IsActive, "can_speak")
        .filter(ids)
        .order_by_asc(participant::Column::Id)
        .into_model::<ParticipantRow>()
        .all(db)
        .await?;
    let mut found: HashMap<i64, Vec<_>> = HashMap::new();
    for row in rows {
        let conversation_id = row.row.conversation_id;
        found.entry(conversation_id).or_default().push(row);
    }
    Ok(found)
}

/// The participants of one conversation in the order of their turns.
pub(crate) async fn of_conversation(
    db: &impl ConnectionTrait,
    id: i64,
) -> Result<Vec<ParticipantRow>, Error> {
    let mut found = by_conversation(db, [id]).await?;
    Ok(found.remove(&id).unwrap_or_default())
}

/// Checks that each id is that of an agent, and none is repeated. The agents are locked, so that they
/// are deleted before or after the conversation begins: a deletion passes their turns on.
pub(super) async fn check_agents(
    db: &impl ConnectionTrait,
    ids: Vec<i64>,
) -> Result<Vec<i64>, Error> {
    let existing = existing_agents(db, &ids).await?;
    for (index, id) in ids.iter().enumerate() {
        let pointer = format!("#/participants/{index}");
        if !existing.contains_key(id) {
            return Err(Error::invalid(pointer, "there is no such agent"));
        }
        if ids[..index].contains(id) {
            return Err(Error::invalid(pointer, "is repeated"));
        }
    }
    Ok(ids)
}

/// The names of those agents that are not deleted, locked against deletion.
async fn existing_agents(
    db: &impl ConnectionTrait,
    ids: &[i64],
) -> Result<HashMap<i64, String>, Error> {
    let backend = db.get_database_backend();
    let rows: Vec<(i64, String)> = agent::Entity::find()
        .select_only()
        .column(agent::Column::Id)
        .column(agent::Column::Name)
        .filter(search::among(
            backend,
            agent::Column::Id,
            ids.iter().copied(),
        ))
        .filter(agent::Entity::not_deleted())
        .order_by_asc(agent::Column::Id)
        .lock_shared()
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().collect())
}

/// The active members of a circle in the roster's order, locked as in [`check_agents`].
pub(super) async fn active_members(
    db: &impl ConnectionTrait,
    circle_id: i64,
) -> Result<Vec<i64>, Error> {
    let mut rows = member::Entity::find()
        .filter(member::Column::CircleId.eq(circle_id))
        .filter(member::Entity::active())
        .all(db)
        .await?;
    rows.sort_unstable_by_key(|row| (row.role, row.joined_at, row.id));
    let agents: Vec<i64> = rows.into_iter().map(|row| row.agent_id).collect();
    let existing = existing_agents(db, &agents).await?;
    Ok(agents
        .into_iter()
        .filter(|id| existing.contains_key(id))
        .collect())
}

pub(super) async fn add_all(
    db: &impl ConnectionTrait,
    id: i64,
    agents: &[i64],
) -> Result<(), Error> {
    let joined_at = now();
    let rows = agents.iter().map(|agent_id| participant::ActiveModel {
        id: NotSet,
        conversation_id: Set(id),
        agent_id: Set(*agent_id),
        joined_at: Set(joined_at),
    });
    if !agents.is_empty() {
        participant::Entity::insert_many(rows)
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
}

fn change(action: Action, of: &conversation::Model, row: &participant::Model) -> Change {
    Change::new(action, Resource::Participant)
        .id(row.id)
        .name(format!("{}/{}", row.conversation_id, row.agent_id))
        .circle(of.circle_id)
}

/// Adds an agent at the end of the order of turns.
pub(crate) async fn add(
    work: UnitOfWork,
    id: i64,
    precondition: &Precondition,
    agent_id: i64,
) -> Result<ParticipantRow, Error> {
    let db = work.db();
    let conversation_row = get_for_update(db, id).await?;
    precondition.check(id, conversation_row.revision)?;
    let agent_name = existing_agents(db, &[agent_id])
        .await?
        .remove(&agent_id)
        .ok_or_else(|| Error::invalid("#/agent_id", "there is no such agent"))?;
    let row = participant::ActiveModel {
        id: NotSet,
        conversation_id: Set(id),
        agent_id: Set(agent_id),
        joined_at: Set(now()),
    };
    let row = row
        .insert(db)
        .await
        .on_unique("participants_agent_unique", || {
            Error::conflict(
                "participant_exists",
                format!("agent {agent_id} already participates in conversation {id}"),
            )
        })?;
    work.record(change(Action::Create, &conversation_row, &row));
    let is_first = conversation_row.next_speakers.0.is_empty();
    if conversation_row.turn_strategy == TurnStrategy::RoundRobin && is_first {
        set_next(db, &conversation_row, IdList(vec![agent_id])).await?;
    }
    Ok(ParticipantRow {
        row,
        agent_name,
        can_speak: true,
    })
}

/// Removes an agent. Its messages stay.
pub(crate) async fn remove(
    work: UnitOfWork,
    id: i64,
    agent_id: i64,
    precondition: &Precondition,
) -> Result<(), Error> {
    let db = work.db();
    let conversation_row = get_for_update(db, id).await?;
    let mut participants = of_conversation(db, id).await?;
    let mut rows = participants.iter_mut();
    let Some(leaving) = rows.find(|found| found.row.agent_id == agent_id) else {
        let key = format!("{agent_id} of conversation {id}");
        return Err(Error::not_found("participant", key));
    };
    precondition.check(leaving.row.id, revision(&leaving.row))?;
    leaving.can_speak = false;
    let row = leaving.row.clone();
    let conversation::Model {
        turn_strategy,
        next_speakers,
        ..
    } = &conversation_row;
    let next = turns::pass_over(*turn_strategy, next_speakers, &participants);
    participant::Entity::delete_by_id(row.id).exec(db).await?;
    set_next(db, &conversation_row, next).await?;
    work.record(change(Action::Delete, &conversation_row, &row));
    Ok(())
}

async fn set_next(
    db: &impl ConnectionTrait,
    before: &conversation::Model,
    next: IdList,
) -> Result<(), Error> {
    let changes = conversation::ActiveModel {
        id: Unchanged(before.id),
        next_speakers: Set(next),
        revision: Unchanged(before.revision),
        ..ActiveModelTrait::default()
    };
    changes.update(db).await?;
    Ok(())
}

/// Passes on the turns of an agent that was deleted in this transaction. All its conversations that are
/// not completed are locked first: a message that is being appended to one may make it the agent's turn.
pub(crate) async fn pass_turns_on(db: &impl ConnectionTrait, agent_id: i64) -> Result<(), Error> {
    /// Conversations whose participants are in memory at once.
    const CHUNK: usize = 100;
    let participates = participant::Entity::find()
        .select_only()
        .column(participant::Column::ConversationId)
        .filter(participant::Column::AgentId.eq(agent_id))
        .into_query();
    let mut conversations: Vec<(i64, TurnStrategy, IdList)> = conversation::Entity::find()
        .select_only()
        .column(conversation::Column::Id)
        .column(conversation::Column::TurnStrategy)
        .column(conversation::Column::NextSpeakers)
        .filter(conversation::Column::Id.in_subquery(participates))
        .filter(conversation::Column::TurnStrategy.ne(TurnStrategy::FreeForm))
        .filter(conversation::Column::Status.ne(ConversationStatus::Completed))
        .order_by_asc(conversation::Column::Id)
        .lock_exclusive()
        .into_tuple()
        .all(db)
        .await?;
    conversations.retain(|(_, _, next)| next.0.contains(&agent_id));
    for chunk in conversations.chunks(CHUNK) {
        let participants = by_conversation(db, chunk.iter().map(|(id, ..)| *id)).await?;
        let mut by_next: BTreeMap<Vec<i64>, Vec<i64>> = BTreeMap::new();
        for (id, strategy, next) in chunk {
            let participants = participants.get(id).map_or(&[][..], Vec::as_slice);
            let next = turns::pass_over(*strategy, next, participants);
            by_next.entry(next.0).or_default().push(*id);
        }
        for (next, ids) in by_next {
            set_next_of_all(db, ids, IdList(next)).await?;
        }
    }
    Ok(())
}

async fn set_next_of_all(
    db: &impl ConnectionTrait,
    ids: Vec<i64>,
    next: IdList,
) -> Result<(), Error> {
    use conversation::Column;
    conversation::Entity::update_many()
        .col_expr(Column::NextSpeakers, Expr::value(next))
        .col_expr(Column::UpdatedAt, Expr::value(now()))
        .col_expr(Column::Revision, next_in_sql(Column::Revision))
        .filter(search::among(db.get_database_backend(), Column::Id, ids))
        .exec(db)
        .await?;
    Ok(())
}
