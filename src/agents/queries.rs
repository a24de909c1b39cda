//! Reads and writes of agents. A deleted agent keeps its row, as part of the history of its circles; no
//! read here returns it.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use entity::{agent, agent_fallback, values::now};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, JoinType, QueryFilter,
    QueryResult, QuerySelect, QueryTrait, RelationTrait,
    sea_query::{LockType, SelectStatement},
};

use super::{dto::Agent, links};
use crate::{
    conversations,
    database::Connections,
    error::{Error, OnConstraint},
    mcp_servers,
    members::{self, jobs::MembershipsAtOnce, of_agent::Deletion},
    models::dto::Model,
    page::Page,
    revision::{self, Precondition},
    rows, search,
    sort::{Sortable, SortedList, SortedRequest},
    versions,
    write::{self, Action, Change, Resource, UnitOfWork},
};

const SORTABLE: Sortable<agent::Column> = Sortable {
    id: agent::Column::Id,
    name: agent::Column::Name,
    created_at: agent::Column::CreatedAt,
    updated_at: agent::Column::UpdatedAt,
};

pub(crate) fn change(action: Action, row: &agent::Model) -> Change {
    Change::new(action, Resource::Agent)
        .id(row.id)
        .name(&row.name)
        .revision(row.revision)
}

/// The unique index on `external_id`.
const EXTERNAL_ID_INDEX: &str = "agents_external_id";

/// Which agents a list shows.
#[derive(Debug, Default)]
pub(crate) struct AgentFilter {
    pub(crate) status: Option<entity::values::AgentStatus>,
    pub(crate) model_id: Option<i64>,
    pub(crate) fallback_model_id: Option<i64>,
    pub(crate) mcp_server_id: Option<i64>,
    pub(crate) skill: Option<String>,
    pub(crate) competency: Option<String>,
    pub(crate) q: Option<String>,
    pub(crate) ids: Option<Vec<i64>>,
    pub(crate) include_deleted: bool,
}

static LIST: LazyLock<SortedList<agent::Entity>> =
    LazyLock::new(|| SortedList::new::<Agent>(agent::Entity::find(), SORTABLE));

/// Rows of [`Agent`]s, followed by their [`Model`]s if those are included.
pub(crate) async fn list(
    db: &Connections,
    filter: AgentFilter,
    with_model: bool,
    page: SortedRequest,
) -> Result<Page<QueryResult>, Error> {
    let AgentFilter {
        status,
        model_id,
        fallback_model_id,
        mcp_server_id,
        skill,
        competency,
        q,
        ids,
        include_deleted,
    } = filter;
    let backend = db.get_database_backend();
    let shown = (!include_deleted).then(agent::Entity::not_deleted);
    let query = LIST
        .query()
        .apply_if(shown, QueryFilter::filter)
        .apply_if(status, |query, status| {
            query.filter(agent::Column::Status.eq(status))
        })
        .apply_if(model_id, |query, id| {
            query.filter(agent::Column::ModelId.eq(id))
        })
        .apply_if(fallback_model_id, |query, id| {
            query.filter(agent::Column::Id.in_subquery(falling_back_on(id)))
        })
        .apply_if(mcp_server_id, |query, id| {
            query.filter(agent::Column::Id.in_subquery(mcp_servers::queries::users_of(id)))
        })
        .apply_if(skill, |query, skill| {
            query.filter(search::list_holds(
                backend,
                agent::Column::SkillNames,
                &skill,
            ))
        })
        .apply_if(competency, |query, competency| {
            query.filter(search::list_holds(
                backend,
                agent::Column::Competencies,
                &competency,
            ))
        })
        .apply_if(q, |query, q| {
            query.filter(search::text_in(backend, &[agent::Column::Name], &q))
        })
        .apply_if(ids, |query, ids| {
            query.filter(search::among(backend, agent::Column::Id, ids))
        })
        .apply_if(with_model.then_some(()), |query, ()| {
            let joined = query.join(JoinType::LeftJoin, agent::Relation::Model.def());
            rows::also_select::<_, Model>(joined)
        });
    LIST.fetch(db, query, page).await
}

/// The ids of the agents that may fall back on a model, deleted ones too.
pub(super) fn falling_back_on(model_id: i64) -> SelectStatement {
    agent_fallback::Entity::find()
        .select_only()
        .column(agent_fallback::Column::AgentId)
        .filter(agent_fallback::Column::ModelId.eq(model_id))
        .into_query()
}

pub(crate) async fn get(db: &impl ConnectionTrait, id: i64) -> Result<agent::Model, Error> {
    agent::Entity::find_not_deleted()
        .filter(agent::Column::Id.eq(id))
        .one(db)
        .await?
        .ok_or_else(|| unknown(id))
}

pub(crate) async fn create(
    work: UnitOfWork,
    row: agent::ActiveModel,
) -> Result<agent::Model, Error> {
    let row = row.insert(work.db()).await;
    let row = row
        .on_foreign_key(no_model)
        .on_unique(EXTERNAL_ID_INDEX, external_id_taken)?;
    created(&work, &row).await?;
    Ok(row)
}

/// What follows from the insertion of an agent.
async fn created(work: &UnitOfWork, row: &agent::Model) -> Result<(), Error> {
    links::replace(work.db(), None, row).await?;
    versions::record(work, vec![row.clone()]).await?;
    work.record(change(Action::Create, row));
    Ok(())
}

/// Creates the agent with an external id, or sets all its columns. Says whether it was created.
pub(crate) async fn replace(
    work: UnitOfWork,
    external_id: &str,
    precondition: &Precondition,
    row: agent::ActiveModel,
) -> Result<(agent::Model, bool), Error> {
    let before = agent::Entity::find_not_deleted()
        .filter(agent::Column::ExternalId.eq(external_id))
        .lock(LockType::NoKeyUpdate)
        .one(work.db())
        .await?;
    let Some(before) = before else {
        precondition.check_absent()?;
        // Another request has just created it: the next attempt finds it.
        let contended = || Error::Contended(DbErr::RecordNotInserted);
        let new = row.insert(work.db()).await.on_foreign_key(no_model);
        let new = new.on_unique(EXTERNAL_ID_INDEX, contended)?;
        created(&work, &new).await?;
        return Ok((new, true));
    };
    Ok((save(&work, before, precondition, row).await?, false))
}

/// An agent, locked until the transaction ends. Rows may still refer to it.
pub(super) async fn get_for_update(
    db: &impl ConnectionTrait,
    id: i64,
) -> Result<agent::Model, Error> {
    agent::Entity::find_not_deleted()
        .filter(agent::Column::Id.eq(id))
        .lock(LockType::NoKeyUpdate)
        .one(db)
        .await?
        .ok_or_else(|| unknown(id))
}

/// Sets the columns that `changes` sets.
pub(crate) async fn update(
    work: UnitOfWork,
    id: i64,
    precondition: &Precondition,
    changes: agent::ActiveModel,
) -> Result<agent::Model, Error> {
    let before = get_for_update(work.db(), id).await?;
    save(&work, before, precondition, changes).await
}

/// Changes a locked agent.
pub(super) async fn save(
    work: &UnitOfWork,
    before: agent::Model,
    precondition: &Precondition,
    mut changes: agent::ActiveModel,
) -> Result<agent::Model, Error> {
    precondition.check(before.id, before.revision)?;
    let version = versions::next(&before, &changes)?;
    changes.version = version.map_or(NotSet, Set);
    let saved = write::save_changes(work.db(), &before, &changes).await;
    let saved = saved
        .on_foreign_key(no_model)
        .on_unique(EXTERNAL_ID_INDEX, external_id_taken)?;
    let Some((row, fields)) = saved else {
        return Ok(before);
    };
    links::replace(work.db(), Some(&before), &row).await?;
    if version.is_some() {
        versions::record(work, vec![row.clone()]).await?;
    }
    work.record(change(Action::Update, &row).fields(fields));
    Ok(row)
}

/// Deletes an agent, ends its memberships and passes its turns on. The memberships end first: where they are few, the
/// rosters change once and not with the agent again.
pub(crate) async fn delete(
    work: UnitOfWork,
    id: i64,
    precondition: &Precondition,
    at_once: MembershipsAtOnce,
) -> Result<(), Error> {
    let db = work.db();
    let before = get_for_update(db, id).await?;
    precondition.check(id, before.revision)?;
    let deleted_at = now();
    members::of_agent::end_all(&work, id, deleted_at, at_once).await?;
    let deleted = agent::ActiveModel {
        is_active: Set(false),
        updated_at: Set(deleted_at),
        ..before.into_active_model()
    };
    work.record_first(change(Action::Delete, &deleted.update(db).await?));
    conversations::participants::pass_turns_on(db, id).await
}

/// Restores a deleted agent; with `memberships`, also those that its deletion ended. Without, they must have ended.
pub(crate) async fn restore(
    work: UnitOfWork,
    id: i64,
    precondition: &Precondition,
    memberships: bool,
    at_once: MembershipsAtOnce,
) -> Result<agent::Model, Error> {
    let db = work.db();
    let deletion = if memberships {
        deletion_of(db, id).await?
    } else {
        None
    };
    if memberships && deletion.is_none() {
        return Err(why_not_restored(db, id, precondition).await?);
    }
    let restored = agent::ActiveModel {
        is_active: Set(true),
        ..ActiveModelTrait::default()
    };
    let deleted = agent::Entity::update_many()
        .filter(agent::Column::IsActive.eq(false))
        .apply_if((!memberships).then(members::jobs::agents), |query, jobs| {
            query.filter(agent::Column::Id.not_in_subquery(jobs))
        });
    let saved = revision::update(db, deleted, id, precondition, restored).await;
    let Some(row) = saved.on_unique(EXTERNAL_ID_INDEX, external_id_taken)? else {
        return Err(why_not_restored(db, id, precondition).await?);
    };
    let row = restore_links(&work, row).await?;
    work.record(change(Action::Restore, &row));
    if let Some(deletion) = deletion {
        members::of_agent::restore_all(&work, id, deletion, at_once).await?;
    }
    Ok(row)
}

/// Restores the links of an agent, without what has been deleted since.
async fn restore_links(work: &UnitOfWork, row: agent::Model) -> Result<agent::Model, Error> {
    let mut left = links::restore(work.db(), &row).await?;
    let version = versions::next(&row, &left)?;
    left.version = version.map_or(NotSet, Set);
    let Some((row, _)) = write::save_changes(work.db(), &row, &left).await? else {
        return Ok(row);
    };
    versions::record(work, vec![row.clone()]).await?;
    Ok(row)
}

/// The deletion of an agent, which is its last change. The row is locked.
async fn deletion_of(db: &impl ConnectionTrait, id: i64) -> Result<Option<Deletion>, Error> {
    let has_job = agent::Column::Id.in_subquery(members::jobs::agents());
    let found: Option<(DateTime<Utc>, bool)> = agent::Entity::find_by_id(id)
        .select_only()
        .column(agent::Column::UpdatedAt)
        .expr_as(has_job, "has_job")
        .filter(agent::Column::IsActive.eq(false))
        .lock(LockType::NoKeyUpdate)
        .into_tuple()
        .one(db)
        .await?;
    Ok(found.map(|(at, has_job)| Deletion { at, has_job }))
}

async fn why_not_restored(
    db: &impl ConnectionTrait,
    id: i64,
    precondition: &Precondition,
) -> Result<Error, Error> {
    let row = agent::Entity::find_by_id(id).one(db).await?;
    Ok(match row {
        None => unknown(id),
        Some(row) if row.is_active => Error::not_deleted("agent", id.to_string()),
        Some(row) => match precondition.check(id, row.revision) {
            Ok(()) => memberships_ending(id),
            Err(error) => error,
        },
    })
}

fn memberships_ending(id: i64) -> Error {
    Error::conflict(
        "memberships_ending",
        format!("the memberships of agent {id} are still being ended"),
    )
}

pub(crate) fn unknown(id: i64) -> Error {
    Error::not_found("agent", id.to_string())
}

fn external_id_taken() -> Error {
    Error::conflict("external_id_taken", "another agent has this external_id")
}

fn no_model() -> Error {
    Error::invalid("#/model_id", "there is no such model")
}
