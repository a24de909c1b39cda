//! Reads and writes of agents. A deleted agent keeps its row, as part of the history of its circles; no
//! read here returns it.

use std::{collections::HashMap, sync::LazyLock};

use chrono::{DateTime, Utc};
use entity::{agent, circle, member};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait,
    JoinType, QueryFilter, QueryOrder, QueryResult, QuerySelect, QueryTrait, RelationTrait,
};

use super::dto::Agent;
use crate::{
    database::Connections,
    error::{Error, OnConstraint},
    members,
    models::dto::Model,
    page::Page,
    revision::{self, Precondition},
    rows, search,
    sort::{Sortable, SortedList, SortedRequest},
    write::{Action, Change, Fields, Resource, UnitOfWork},
};

const SORTABLE: Sortable<agent::Column> = Sortable {
    id: agent::Column::Id,
    name: agent::Column::Name,
    created_at: agent::Column::CreatedAt,
    updated_at: agent::Column::UpdatedAt,
};

fn change(action: Action, row: &agent::Model) -> Change {
    Change::new(action, Resource::Agent)
        .id(row.id)
        .name(&row.name)
        .revision(row.revision)
}

/// Which agents a list shows.
#[derive(Debug, Default)]
pub(crate) struct AgentFilter {
    pub(crate) status: Option<entity::values::AgentStatus>,
    pub(crate) model_id: Option<i64>,
    pub(crate) skill: Option<String>,
    pub(crate) competency: Option<String>,
    pub(crate) q: Option<String>,
    pub(crate) ids: Option<Vec<i64>>,
    pub(crate) updated_since: Option<DateTime<Utc>>,
}

static LIST: LazyLock<SortedList<agent::Entity>> =
    LazyLock::new(|| SortedList::new::<Agent>(agent::Entity::find_not_deleted(), SORTABLE));

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
        skill,
        competency,
        q,
        ids,
        updated_since,
    } = filter;
    let backend = db.get_database_backend();
    let query = LIST
        .query()
        .apply_if(status, |query, status| {
            query.filter(agent::Column::Status.eq(status))
        })
        .apply_if(model_id, |query, id| {
            query.filter(agent::Column::ModelId.eq(id))
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
        .apply_if(updated_since, |query, since| {
            query.filter(search::since(agent::Column::UpdatedAt, since))
        })
        .apply_if(with_model.then_some(()), |query, ()| {
            let joined = query.join(JoinType::LeftJoin, agent::Relation::Model.def());
            rows::also_select::<_, Model>(joined)
        });
    LIST.fetch(db, query, page).await
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
    let row = row.insert(work.db()).await.on_foreign_key(no_model)?;
    work.record(change(Action::Create, &row));
    Ok(row)
}

/// Sets the columns that `changes` sets, in one statement.
pub(crate) async fn update(
    work: UnitOfWork,
    id: i64,
    precondition: &Precondition,
    changes: agent::ActiveModel,
) -> Result<agent::Model, Error> {
    let db = work.db();
    let fields = Fields::set_in(&changes);
    if fields.is_empty() {
        let row = get(db, id).await?;
        precondition.check(id, row.revision)?;
        return Ok(row);
    }
    let not_deleted = agent::Entity::update_many().filter(agent::Entity::not_deleted());
    let saved = revision::update(db, not_deleted, id, precondition, changes).await;
    let Some(row) = saved.on_foreign_key(no_model)? else {
        return Err(precondition.explain_no_match(get(db, id).await));
    };
    work.record(change(Action::Update, &row).fields(fields));
    Ok(row)
}

/// Deletes an agent and ends its memberships.
pub(crate) async fn delete(
    work: UnitOfWork,
    id: i64,
    precondition: &Precondition,
) -> Result<(), Error> {
    let db = work.db();
    let deleted = agent::ActiveModel {
        is_active: Set(false),
        ..ActiveModelTrait::default()
    };
    let not_deleted = agent::Entity::update_many().filter(agent::Entity::not_deleted());
    let saved = revision::update(db, not_deleted, id, precondition, deleted).await?;
    let Some(row) = saved else {
        return Err(precondition.explain_no_match(get(db, id).await));
    };
    work.record(change(Action::Delete, &row));
    let circles = lock_circles(db, id).await?;
    let own = Condition::all().add(member::Column::AgentId.eq(id));
    for ended in members::queries::end_where(db, own).await? {
        let circle = circles.get(&ended.circle_id).map_or("", String::as_str);
        work.record(ended.change(circle));
    }
    Ok(())
}

/// Locks the circles that an agent is a member of, in the order in which all writes lock circles, and returns
/// their names by id.
async fn lock_circles(
    db: &impl ConnectionTrait,
    agent_id: i64,
) -> Result<HashMap<i64, String>, Error> {
    let circle_ids = member::Entity::find()
        .select_only()
        .column(member::Column::CircleId)
        .filter(member::Column::AgentId.eq(agent_id))
        .filter(member::Entity::active())
        .into_query();
    let circles: Vec<(i64, String)> = circle::Entity::find()
        .select_only()
        .columns([circle::Column::Id, circle::Column::Name])
        .filter(circle::Column::Id.in_subquery(circle_ids))
        .order_by_asc(circle::Column::Id)
        .lock_exclusive()
        .into_tuple()
        .all(db)
        .await?;
    Ok(circles.into_iter().collect())
}

/// Restores a deleted agent. The memberships that its deletion ended stay ended.
pub(crate) async fn restore(work: UnitOfWork, id: i64) -> Result<agent::Model, Error> {
    let db = work.db();
    let restored = agent::ActiveModel {
        is_active: Set(true),
        ..ActiveModelTrait::default()
    };
    let deleted = agent::Entity::update_many().filter(agent::Column::IsActive.eq(false));
    let saved = revision::update(db, deleted, id, &Precondition::Any, restored).await?;
    let Some(row) = saved else {
        get(db, id).await?;
        return Err(Error::not_deleted("agent", id.to_string()));
    };
    work.record(change(Action::Restore, &row));
    Ok(row)
}

pub(crate) fn unknown(id: i64) -> Error {
    Error::not_found("agent", id.to_string())
}

fn no_model() -> Error {
    Error::invalid("#/model_id", "there is no such model")
}
