//! Reads of versions, and the return to one.

use entity::{agent, agent_version, values::AgentStatus};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, JoinType, Order,
    QueryFilter, QueryResult, QuerySelect, QueryTrait, RelationTrait, Select,
};
use serde_json::Value;

use super::dto::{AgentVersion, AgentVersionDiff, AgentVersionEntry};
use crate::{
    agents::queries::{self, get_for_update, save},
    database::Connections,
    diff,
    error::{Error, FieldError, FieldErrors},
    page::{self, Page, PageRequest},
    revision::Precondition,
    rows,
    versions::AgentDefinitionRow,
    write::{self, UnitOfWork},
};

/// The code of a version that refers to what no longer exists.
pub(crate) const REFERENCE_GONE: &str = "reference_gone";

/// The versions of an agent that is not deleted.
fn of_agent(agent_id: i64) -> Select<agent_version::Entity> {
    agent_version::Entity::find()
        .join(JoinType::InnerJoin, agent_version::Relation::Agent.def())
        .filter(agent_version::Column::AgentId.eq(agent_id))
        .filter(agent::Entity::not_deleted())
}

/// Rows of [`AgentVersionEntry`]s, the newest first.
pub(super) async fn list(
    db: &Connections,
    agent_id: i64,
    page: PageRequest,
) -> Result<Page<QueryResult>, Error> {
    let query = rows::select_only::<_, AgentVersionEntry>(of_agent(agent_id));
    let page = page::fetch(db, query, agent_version::Column::Number, Order::Desc, page).await?;
    if page.rows.is_empty() {
        queries::get(db, agent_id).await?;
    }
    Ok(page)
}

/// A row of an [`AgentVersion`].
pub(super) async fn get(
    db: &impl ConnectionTrait,
    agent_id: i64,
    number: i64,
) -> Result<QueryResult, Error> {
    let query = of_agent(agent_id).filter(agent_version::Column::Number.eq(number));
    let query = rows::select_only::<_, AgentVersion>(query).into_query();
    let row = db.query_one(&query).await?;
    row.ok_or_else(|| unknown(agent_id, number))
}

/// A version, and what its agent is doing.
pub(crate) async fn with_status(
    db: &impl ConnectionTrait,
    agent_id: i64,
    number: i64,
) -> Result<(agent_version::Model, AgentStatus), Error> {
    let row = of_agent(agent_id)
        .filter(agent_version::Column::Number.eq(number))
        .select_also(agent::Entity)
        .one(db)
        .await?;
    match row {
        Some((version, Some(agent))) => Ok((version, agent.status)),
        _ => Err(unknown(agent_id, number)),
    }
}

/// Compares a version with another one, or with the one before.
pub(super) async fn diff(
    db: &impl ConnectionTrait,
    agent_id: i64,
    number: i64,
    against: Option<i64>,
) -> Result<AgentVersionDiff, Error> {
    let against = against.or_else(|| (number > 1).then(|| number - 1));
    let numbers = [Some(number), against].into_iter().flatten();
    let versions: Vec<agent_version::Model> = of_agent(agent_id)
        .filter(agent_version::Column::Number.is_in(numbers))
        .all(db)
        .await?;
    let definition = |number: i64| {
        let mut versions = versions.iter();
        let version = versions.find(|version| version.number == number);
        let version = version.ok_or_else(|| unknown(agent_id, number))?;
        serde_json::from_str(version.definition.as_str())
            .map_err(|error| Error::Database(DbErr::Json(error.to_string())))
    };
    let after = definition(number)?;
    let before = against.map_or_else(|| Ok(Value::Object(serde_json::Map::new())), definition)?;
    Ok(AgentVersionDiff {
        agent_id,
        number,
        against,
        changes: diff::compare(before, after).await?,
    })
}

/// Gives an agent the definition of a version, which makes a new version unless it has it already.
pub(super) async fn restore(
    work: UnitOfWork,
    agent_id: i64,
    number: i64,
    precondition: &Precondition,
) -> Result<agent::Model, Error> {
    let before = get_for_update(work.db(), agent_id).await?;
    let version = agent_version::Entity::find_by_id((agent_id, number))
        .one(work.db())
        .await?
        .ok_or_else(|| unknown(agent_id, number))?;
    let columns = AgentDefinitionRow::read(&version.definition)?.into_columns()?;
    // The audit names the columns that differ, not all.
    let changes = write::merge(before.clone().into_active_model(), &columns);
    save(&work, before, precondition, changes)
        .await
        .map_err(|error| match error {
            Error::Invalid(faults) => reference_gone(&version, &faults),
            other => other,
        })
}

/// What a version refers to and no longer exists.
fn reference_gone(version: &agent_version::Model, faults: &FieldErrors) -> Error {
    let definition: Value = serde_json::from_str(version.definition.as_str()).unwrap_or_default();
    let faults = faults
        .listed()
        .iter()
        .map(|FieldError { pointer, detail }| {
            let value = definition.pointer(pointer.trim_start_matches('#'));
            format!("{pointer}, {}: {detail}", value.unwrap_or(&Value::Null))
        });
    let faults = faults.collect::<Vec<_>>().join("; ");
    let detail = format!("version {} can't be restored: {faults}", version.number);
    Error::conflict(REFERENCE_GONE, detail)
}

pub(crate) fn unknown(agent_id: i64, number: i64) -> Error {
    Error::not_found("version", format!("{number} of agent {agent_id}"))
}
