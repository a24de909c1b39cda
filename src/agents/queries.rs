//! Reads and writes of agents. A deleted agent keeps its row, so that it can be told who once was
//! in a circle; every read here looks past it.

use chrono::{DateTime, Utc};
use entity::{agent, member, values::now};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
    QueryTrait, Select, sea_query::Expr,
};

use crate::{
    database::Database,
    error::{Error, OnConstraint},
    page::Page,
    search,
    sort::{self, Sortable, SortedRequest},
};

const SORTABLE: Sortable<agent::Column> = Sortable {
    id: agent::Column::Id,
    name: agent::Column::Name,
    created_at: agent::Column::CreatedAt,
    updated_at: agent::Column::UpdatedAt,
};

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

fn live() -> Select<agent::Entity> {
    agent::Entity::find().filter(agent::Column::IsActive.eq(true))
}

pub(crate) async fn list(
    db: &impl ConnectionTrait,
    filter: AgentFilter,
    page: SortedRequest,
) -> Result<Page<agent::Model>, Error> {
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
    let query = live()
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
        });
    sort::fetch(db, query, SORTABLE, page, |row: &agent::Model| row).await
}

pub(crate) async fn get(db: &impl ConnectionTrait, id: i64) -> Result<agent::Model, Error> {
    live()
        .filter(agent::Column::Id.eq(id))
        .one(db)
        .await?
        .ok_or_else(|| unknown(id))
}

pub(crate) async fn create(
    db: &impl ConnectionTrait,
    row: agent::ActiveModel,
) -> Result<agent::Model, Error> {
    row.insert(db).await.on_foreign_key(no_model)
}

/// Changes the columns that are set, in one statement.
pub(crate) async fn update(
    db: &impl ConnectionTrait,
    id: i64,
    mut row: agent::ActiveModel,
) -> Result<agent::Model, Error> {
    if !row.is_changed() {
        return get(db, id).await;
    }
    row.updated_at = Set(now());
    agent::Entity::update_many()
        .set(row)
        .filter(agent::Column::Id.eq(id))
        .filter(agent::Column::IsActive.eq(true))
        .exec_with_returning(db)
        .await
        .on_foreign_key(no_model)?
        .pop()
        .ok_or_else(|| unknown(id))
}

/// Deletes an agent and ends its memberships.
pub(crate) async fn delete(database: &Database, id: i64) -> Result<(), Error> {
    let transaction = database.begin_write().await?;
    let now = now();
    let deleted = agent::Entity::update_many()
        .col_expr(agent::Column::IsActive, Expr::value(false))
        .col_expr(agent::Column::UpdatedAt, Expr::value(now))
        .filter(agent::Column::Id.eq(id))
        .filter(agent::Column::IsActive.eq(true))
        .exec(&transaction)
        .await?;
    if deleted.rows_affected == 0 {
        return Err(unknown(id));
    }
    member::Entity::update_many()
        .col_expr(member::Column::IsActive, Expr::value(false))
        .col_expr(member::Column::LeftAt, Expr::value(now))
        .filter(member::Column::AgentId.eq(id))
        .filter(member::Column::IsActive.eq(true))
        .exec(&transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// Makes a deleted agent live again, in one statement where it was deleted. Its memberships stay
/// ended.
pub(crate) async fn restore(db: &impl ConnectionTrait, id: i64) -> Result<agent::Model, Error> {
    let mut restored = agent::Entity::update_many()
        .col_expr(agent::Column::IsActive, Expr::value(true))
        .col_expr(agent::Column::UpdatedAt, Expr::value(now()))
        .filter(agent::Column::Id.eq(id))
        .filter(agent::Column::IsActive.eq(false))
        .exec_with_returning(db)
        .await?;
    if let Some(row) = restored.pop() {
        return Ok(row);
    }
    get(db, id).await?;
    Err(Error::not_deleted("agent", id.to_string()))
}

pub(crate) fn unknown(id: i64) -> Error {
    Error::not_found("agent", id.to_string())
}

fn no_model() -> Error {
    Error::invalid("#/model_id", "there is no such model")
}
