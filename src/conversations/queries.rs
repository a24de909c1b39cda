//! Reads and writes of conversations.

use std::{collections::HashMap, sync::LazyLock};

use entity::{
    conversation, message, participant,
    values::{ConversationStatus, IdList},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryResult, QuerySelect,
    QueryTrait, RelationTrait, Select,
    sea_query::{Expr, ExprTrait, IntoCondition},
};

use super::{
    dto::{Conversation, ConversationCreate},
    messages::dto::Message,
    participants::{self, ParticipantRow},
    turns,
};
use crate::{
    circles,
    database::Connections,
    error::Error,
    page::Page,
    revision::Precondition,
    rows, search,
    sort::{Sortable, SortedList, SortedRequest, list_with_related},
    write::{self, Action, Change, Resource, UnitOfWork},
};

fn change(action: Action, row: &conversation::Model) -> Change {
    Change::new(action, Resource::Conversation)
        .id(row.id)
        .circle(row.circle_id)
}

const SORTABLE: Sortable<conversation::Column> = Sortable {
    id: conversation::Column::Id,
    name: conversation::Column::Topic,
    created_at: conversation::Column::CreatedAt,
    updated_at: conversation::Column::UpdatedAt,
};

/// Which conversations a list shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConversationFilter {
    pub(crate) status: Option<ConversationStatus>,
    pub(crate) circle_id: Option<i64>,
    pub(crate) agent_id: Option<i64>,
    pub(crate) q: Option<String>,
}

static LIST: LazyLock<SortedList<conversation::Entity>> =
    LazyLock::new(|| SortedList::new::<Conversation>(conversation::Entity::find(), SORTABLE));

/// Rows of [`Conversation`]s, followed by their last [`Message`]s if those are included. The number of the last
/// message is in the conversation's row, so a join finds it.
pub(crate) async fn list(
    db: &Connections,
    filter: ConversationFilter,
    with_last_message: bool,
    page: SortedRequest,
) -> Result<Page<QueryResult>, Error> {
    let ConversationFilter {
        status,
        circle_id,
        agent_id,
        q,
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

/// One page of conversations, and their participants. It ends early if these are larger than a response may be.
pub(crate) async fn list_with_participants(
    db: &Connections,
    filter: ConversationFilter,
    with_last_message: bool,
    request: SortedRequest,
) -> Result<(Page<QueryResult>, HashMap<i64, Vec<ParticipantRow>>), Error> {
    let list = |request| list(db, filter.clone(), with_last_message, request);
    let participants = |conversations| participants::by_conversation(db, conversations);
    list_with_related(request, list, participants).await
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
        (Some(IdList(agents)), _) => participants::check_agents(db, agents).await?,
        (None, Some(circle_row)) => participants::active_members(db, circle_row.id).await?,
        (None, None) => Vec::new(),
    };
    let next_speakers = turns::at_start(new.turn_strategy, agents.iter().copied());
    let row = conversation::ActiveModel {
        circle_id: Set(circle_row.map(|circle_row| circle_row.id)),
        next_speakers: Set(next_speakers),
        ..new.into()
    };
    let created = row.insert(db).await?;
    participants::add_all(db, created.id, &agents).await?;
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

/// Sets the columns that `changes` sets. A new strategy restarts the order of turns. A new status passes over the agents
/// that were deleted while the conversation was completed.
pub(crate) async fn update(
    work: UnitOfWork,
    id: i64,
    precondition: &Precondition,
    mut changes: conversation::ActiveModel,
) -> Result<conversation::Model, Error> {
    let db = work.db();
    let before = get_for_update(db, id).await?;
    precondition.check(id, before.revision)?;
    let strategy = changes.turn_strategy.try_as_ref().copied();
    let strategy = strategy.unwrap_or(before.turn_strategy);
    if strategy != before.turn_strategy || changes.status.is_set() {
        let participants = participants::of_conversation(db, id).await?;
        changes.next_speakers = Set(if strategy == before.turn_strategy {
            turns::pass_over(strategy, &before.next_speakers, &participants)
        } else {
            turns::at_start(strategy, turns::speakers(&participants))
        });
    }
    let Some((after, fields)) = write::save_changes(db, &before, &changes).await? else {
        return Ok(before);
    };
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

pub(crate) fn unknown(id: i64) -> Error {
    Error::not_found("conversation", id.to_string())
}
