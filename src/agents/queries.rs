//! Reads and writes of agents. A deleted agent keeps its row, so that it can be told who once was
//! in a circle; every read here looks past it.

use chrono::{DateTime, Utc};
use entity::{agent, circle, member, values::now};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select,
    sea_query::{Expr, ExprTrait},
};

use crate::{
    database::Database,
    error::{Error, OnConstraint},
    page::Page,
    revision::Expected,
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

/// Changes the columns that are set, in one statement, where the row is in an expected state.
pub(crate) async fn update(
    db: &impl ConnectionTrait,
    id: i64,
    expected: &Expected,
    mut row: agent::ActiveModel,
) -> Result<agent::Model, Error> {
    if !row.is_changed() {
        let row = get(db, id).await?;
        expected.check(id, row.revision)?;
        return Ok(row);
    }
    row.updated_at = Set(now());
    let changed = agent::Entity::update_many()
        .set(row)
        .col_expr(
            agent::Column::Revision,
            Expr::col(agent::Column::Revision).add(1),
        )
        .apply_if(expected.revisions_of(id), |query, revisions| {
            query.filter(agent::Column::Revision.is_in(revisions))
        })
        .filter(agent::Column::Id.eq(id))
        .filter(agent::Column::IsActive.eq(true))
        .exec_with_returning(db)
        .await
        .on_foreign_key(no_model)?
        .pop();
    match changed {
        Some(row) => Ok(row),
        None => Err(expected.why_missed(get(db, id).await)),
    }
}

/// Deletes an agent and ends its memberships.
pub(crate) async fn delete(database: &Database, id: i64, expected: &Expected) -> Result<(), Error> {
    let transaction = database.begin_write().await?;
    let gone = agent::ActiveModel {
        is_active: Set(false),
        ..ActiveModelTrait::default()
    };
    update(&transaction, id, expected, gone).await?;
    hold_circles(&transaction, id).await?;
    let now = now();
    member::Entity::update_many()
        .col_expr(member::Column::IsActive, Expr::value(false))
        .col_expr(member::Column::LeftAt, Expr::value(now))
        .col_expr(
            member::Column::Revision,
            Expr::col(member::Column::Revision).add(1),
        )
        .filter(member::Column::AgentId.eq(id))
        .filter(member::Column::IsActive.eq(true))
        .exec(&transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// The circles that an agent is in, in the order in which all writers take them.
async fn hold_circles(db: &impl ConnectionTrait, agent_id: i64) -> Result<(), Error> {
    let its = member::Entity::find()
        .select_only()
        .column(member::Column::CircleId)
        .filter(member::Column::AgentId.eq(agent_id))
        .filter(member::Column::IsActive.eq(true))
        .into_query();
    circle::Entity::find()
        .filter(circle::Column::Id.in_subquery(its))
        .order_by_asc(circle::Column::Id)
        .lock_exclusive()
        .all(db)
        .await?;
    Ok(())
}

/// Makes a deleted agent live again, in one statement where it was deleted. Its memberships stay
/// ended.
pub(crate) async fn restore(db: &impl ConnectionTrait, id: i64) -> Result<agent::Model, Error> {
    let mut restored = agent::Entity::update_many()
        .col_expr(agent::Column::IsActive, Expr::value(true))
        .col_expr(agent::Column::UpdatedAt, Expr::value(now()))
        .col_expr(
            agent::Column::Revision,
            Expr::col(agent::Column::Revision).add(1),
        )
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
