//! Reads and writes of conversations and their participants.

use std::{collections::HashMap, sync::LazyLock};

use chrono::{DateTime, Utc};
use entity::{
    agent, conversation, member, message, participant,
    values::{ConversationStatus, IdList, TurnStrategy, now},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set, Unchanged},
    ColumnTrait, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QueryResult,
    QuerySelect, QueryTrait, RelationTrait, Select,
    sea_query::{Expr, ExprTrait, IntoCondition},
};

use super::{
    dto::{Conversation, ConversationCreate},
    messages::dto::Message,
    turns,
};
use crate::{
    circles,
    error::{Error, OnConstraint},
    page::Page,
    revision::{HasEtag, Precondition, etag},
    rows, search,
    sort::{Sortable, SortedList, SortedRequest},
    write::{Action, Change, Fields, Resource, UnitOfWork},
};

fn change(action: Action, row: &conversation::Model) -> Change {
    Change::new(action, Resource::Conversation).id(row.id)
}

const SORTABLE: Sortable<conversation::Column> = Sortable {
    id: conversation::Column::Id,
    name: conversation::Column::Topic,
    created_at: conversation::Column::CreatedAt,
    updated_at: conversation::Column::UpdatedAt,
};

/// Which conversations a list shows.
#[derive(Debug, Default)]
pub(crate) struct ConversationFilter {
    pub(crate) status: Option<ConversationStatus>,
    pub(crate) circle_id: Option<i64>,
    pub(crate) agent_id: Option<i64>,
    pub(crate) q: Option<String>,
    pub(crate) updated_since: Option<DateTime<Utc>>,
}

static LIST: LazyLock<SortedList<conversation::Entity>> =
    LazyLock::new(|| SortedList::new::<Conversation>(conversation::Entity::find(), SORTABLE));

/// Rows of [`Conversation`]s, followed by their last [`Message`]s if those are included. The number of the last
/// message is in the conversation's row, so a join finds it.
pub(crate) async fn list(
    db: &impl ConnectionTrait,
    filter: ConversationFilter,
    with_last_message: bool,
    page: SortedRequest,
) -> Result<Page<QueryResult>, Error> {
    let ConversationFilter {
        status,
        circle_id,
        agent_id,
        q,
        updated_since,
    } = filter;
    let backend = db.get_database_backend();
    let query = LIST
        .query()
        .apply_if(status, |query, status| {
            query.filter(conversation::Column::Status.eq(status))
        })
        .apply_if(circle_id, |query, id| {
            query.filter(conversation::Column::CircleId.eq(id))
        })
        .apply_if(agent_id, |query, id| {
            query.filter(conversation::Column::Id.in_subquery(conversations_of(id)))
        })
        .apply_if(q, |query, q| {
            query.filter(search::text_in(backend, &[conversation::Column::Topic], &q))
        })
        .apply_if(with_last_message.then_some(()), |query, ()| {
            join_last_message(query)
        })
        .apply_if(updated_since, |query, since| {
            query.filter(search::since(conversation::Column::UpdatedAt, since))
        });
    LIST.fetch(db, query, page).await
}

fn conversations_of(agent_id: i64) -> sea_orm::sea_query::SelectStatement {
    participant::Entity::find()
        .select_only()
        .column(participant::Column::ConversationId)
        .filter(participant::Column::AgentId.eq(agent_id))
        .into_query()
}

fn join_last_message(query: Select<conversation::Entity>) -> Select<conversation::Entity> {
    let is_last = conversation::Relation::Message
        .def()
        .on_condition(|conversation, message| {
            Expr::col((message, message::Column::Number))
                .eq(Expr::col((conversation, conversation::Column::TurnCount)))
                .into_condition()
        });
    rows::also_select::<_, Message>(query.join(JoinType::LeftJoin, is_last))
}

pub(crate) async fn get(db: &impl ConnectionTrait, id: i64) -> Result<conversation::Model, Error> {
    conversation::Entity::find_by_id(id)
        .one(db)
        .await?
        .ok_or_else(|| unknown(id))
}

/// The conversation, locked against appends and changes until the transaction ends.
pub(crate) async fn get_for_update(
    db: &impl ConnectionTrait,
    id: i64,
) -> Result<conversation::Model, Error> {
    conversation::Entity::find_by_id(id)
        .lock_exclusive()
        .one(db)
        .await?
        .ok_or_else(|| unknown(id))
}

/// The participants of these conversations by conversation, with their agents' names, in one
/// statement; in the order of their turns.
pub(crate) async fn participants_of(
    db: &impl ConnectionTrait,
    conversations: impl IntoIterator<Item = i64>,
) -> Result<HashMap<i64, Vec<ParticipantRow>>, Error> {
    let rows = participant::Entity::find()
        .find_also_related(agent::Entity)
        .filter(participant::Column::ConversationId.is_in(conversations))
        .order_by_asc(participant::Column::Id)
        .all(db)
        .await?;
    let mut found: HashMap<i64, Vec<_>> = HashMap::new();
    for (participant_row, agent_row) in rows {
        let name = agent_row
            .map(|agent_row| agent_row.name)
            .unwrap_or_default();
        found
            .entry(participant_row.conversation_id)
            .or_default()
            .push(ParticipantRow(participant_row, name));
    }
    Ok(found)
}

/// The participants in the order of their turns.
pub(crate) async fn participants(
    db: &impl ConnectionTrait,
    id: i64,
) -> Result<Vec<participant::Model>, Error> {
    Ok(participant::Entity::find()
        .filter(participant::Column::ConversationId.eq(id))
        .order_by_asc(participant::Column::Id)
        .all(db)
        .await?)
}

/// Creates a conversation. Without a list of participants, these are the circle's members.
pub(crate) async fn create(
    work: UnitOfWork,
    mut new: ConversationCreate,
) -> Result<conversation::Model, Error> {
    let db = work.db();
    let circle_row = match new.circle.take() {
        Some(name) => Some(find_circle(db, &name).await?),
        None => None,
    };
    let agents = match (new.participants.take(), &circle_row) {
        (Some(IdList(agents)), _) => check_agents(db, agents).await?,
        (None, Some(circle_row)) => active_members(db, circle_row.id).await?,
        (None, None) => Vec::new(),
    };
    let next_speakers = turns::at_start(new.turn_strategy, agents.iter().copied());
    let row = conversation::ActiveModel {
        circle_id: Set(circle_row.map(|circle_row| circle_row.id)),
        next_speakers: Set(next_speakers),
        ..new.into()
    };
    let created = row.insert(db).await?;
    add_all(db, created.id, &agents).await?;
    work.record(change(Action::Create, &created).revision(created.revision));
    Ok(created)
}

async fn find_circle(
    db: &impl ConnectionTrait,
    name: &str,
) -> Result<entity::circle::Model, Error> {
    circles::queries::get(db, name)
        .await
        .map_err(|error| match error {
            Error::NotFound { .. } => Error::invalid("#/circle", "there is no such circle"),
            other => other,
        })
}

/// Checks that each id is that of an agent, and none is repeated.
async fn check_agents(db: &impl ConnectionTrait, ids: Vec<i64>) -> Result<Vec<i64>, Error> {
    let existing: Vec<i64> = agent::Entity::find()
        .select_only()
        .column(agent::Column::Id)
        .filter(agent::Column::Id.is_in(ids.iter().copied()))
        .filter(agent::Entity::not_deleted())
        .into_tuple()
        .all(db)
        .await?;
    for (index, id) in ids.iter().enumerate() {
        let pointer = format!("#/participants/{index}");
        if !existing.contains(id) {
            return Err(Error::invalid(pointer, "there is no such agent"));
        }
        if ids[..index].contains(id) {
            return Err(Error::invalid(pointer, "is repeated"));
        }
    }
    Ok(ids)
}

async fn active_members(db: &impl ConnectionTrait, circle_id: i64) -> Result<Vec<i64>, Error> {
    let mut rows = member::Entity::find()
        .filter(member::Column::CircleId.eq(circle_id))
        .filter(member::Entity::active())
        .all(db)
        .await?;
    rows.sort_unstable_by_key(|row| (row.role, row.joined_at, row.id));
    Ok(rows.into_iter().map(|row| row.agent_id).collect())
}

async fn add_all(db: &impl ConnectionTrait, id: i64, agents: &[i64]) -> Result<(), Error> {
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

/// Sets the columns that `changes` sets. A new strategy restarts the order of turns.
pub(crate) async fn update(
    work: UnitOfWork,
    id: i64,
    precondition: &Precondition,
    mut changes: conversation::ActiveModel,
) -> Result<conversation::Model, Error> {
    let db = work.db();
    let before = get_for_update(db, id).await?;
    precondition.check(id, before.revision)?;
    let fields = Fields::set_in(&changes);
    if fields.is_empty() {
        return Ok(before);
    }
    if let Set(strategy) = changes.turn_strategy
        && strategy != before.turn_strategy
    {
        let participants = participants(db, id).await?;
        let agents = participants.iter().map(|row| row.agent_id);
        changes.next_speakers = Set(turns::at_start(strategy, agents));
    }
    changes.id = Unchanged(id);
    changes.revision = Unchanged(before.revision);
    let after = changes.update(db).await?;
    let change = change(Action::Update, &after).revision(after.revision);
    work.record(change.fields(fields));
    Ok(after)
}

/// Deletes a conversation with its messages.
pub(crate) async fn delete(
    work: UnitOfWork,
    id: i64,
    precondition: &Precondition,
) -> Result<(), Error> {
    let deleted = conversation::Entity::delete_many()
        .filter(conversation::Column::Id.eq(id))
        .apply_if(precondition.revisions_of(id), |query, revisions| {
            query.filter(conversation::Column::Revision.is_in(revisions))
        })
        .exec_with_returning(work.db())
        .await?;
    let Some(row) = deleted.first() else {
        return Err(precondition.explain_no_match(get(work.db(), id).await));
    };
    work.record(change(Action::Delete, row));
    Ok(())
}

/// A participant with its agent's name.
pub(crate) struct ParticipantRow(pub(crate) participant::Model, pub(crate) String);

/// A participant never changes.
impl HasEtag for ParticipantRow {
    fn etag(&self) -> String {
        etag(self.0.id, 1)
    }
}

fn participant_change(action: Action, row: &participant::Model) -> Change {
    Change::new(action, Resource::Participant)
        .id(row.id)
        .name(format!("{}/{}", row.conversation_id, row.agent_id))
}

/// Adds an agent at the end of the order of turns.
pub(crate) async fn add_participant(
    work: UnitOfWork,
    id: i64,
    agent_id: i64,
) -> Result<ParticipantRow, Error> {
    let db = work.db();
    let conversation_row = get_for_update(db, id).await?;
    let agent_row = agent::Entity::find_by_id(agent_id)
        .filter(agent::Entity::not_deleted())
        .one(db)
        .await?
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
    work.record(participant_change(Action::Create, &row));
    let is_first = conversation_row.next_speakers.0.is_empty();
    if conversation_row.turn_strategy == TurnStrategy::RoundRobin && is_first {
        set_next(db, &conversation_row, IdList(vec![agent_id])).await?;
    }
    Ok(ParticipantRow(row, agent_row.name))
}

/// Removes an agent. Its messages stay.
pub(crate) async fn remove_participant(
    work: UnitOfWork,
    id: i64,
    agent_id: i64,
) -> Result<(), Error> {
    let db = work.db();
    let conversation_row = get_for_update(db, id).await?;
    let participants = participants(db, id).await?;
    let Some(row) = participants.iter().find(|row| row.agent_id == agent_id) else {
        let key = format!("{agent_id} of conversation {id}");
        return Err(Error::not_found("participant", key));
    };
    let next = turns::without(&conversation_row, &participants, agent_id);
    participant::Entity::delete_by_id(row.id).exec(db).await?;
    set_next(db, &conversation_row, next).await?;
    work.record(participant_change(Action::Delete, row));
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

pub(crate) fn unknown(id: i64) -> Error {
    Error::not_found("conversation", id.to_string())
}
