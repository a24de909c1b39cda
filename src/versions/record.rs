//! Writing versions, in the transaction of the change.

use std::sync::LazyLock;

use entity::{agent, agent_version, revision, values::now};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ColumnType, ConnectionTrait, DbErr, EntityTrait, Iterable, ModelTrait,
    QueryFilter, QueryOrder, QuerySelect, Select, Value,
    sea_query::{Expr, ExprTrait, LockType},
};

use super::definition::{AgentDefinition, written};
use crate::{
    digest,
    error::Error,
    rows::{self, FromRow},
    search,
    write::UnitOfWork,
};

/// The number to save with changes of a locked agent; `None` if its definition stays the same.
pub(crate) fn next(
    before: &agent::Model,
    changes: &agent::ActiveModel,
) -> Result<Option<i64>, DbErr> {
    for column in &*DEFINITION {
        if let Set(new) = changes.get(*column)
            && !is_same(*column, &before.get(*column), &new)?
        {
            return Ok(Some(before.version + 1));
        }
    }
    Ok(None)
}

/// The columns that the definition has.
static DEFINITION: LazyLock<Vec<agent::Column>> = LazyLock::new(|| {
    let names = AgentDefinition::columns();
    let columns = agent::Column::iter();
    columns
        .filter(|column| names.contains(&rows::qualified::<agent::Entity>(*column)))
        .collect()
});

/// Whether the digest of the definition stays the same with the new value of a column.
fn is_same(column: agent::Column, before: &Value, after: &Value) -> Result<bool, DbErr> {
    match (column.def().get_column_type(), before, after) {
        _ if before == after => Ok(true),
        (ColumnType::Json, Value::String(Some(before)), Value::String(Some(after))) => {
            Ok(digest::of_text(before)? == digest::of_text(after)?)
        }
        _ => Ok(false),
    }
}

/// The number that a statement sets which changes the definitions of many agents.
pub(crate) fn next_in_sql() -> Expr {
    Expr::col(agent::Column::Version).add(1)
}

/// About how large an agent is in memory, in bytes.
pub(crate) fn size() -> Expr {
    Expr::cust(
        "CAST(1000 + octet_length(coalesce(agents.system_prompt, '')) + octet_length(coalesce(agents.base_prompt, '')) \
         + octet_length(agents.tools) + octet_length(agents.params) + octet_length(agents.metadata) AS bigint)",
    )
}

/// The ids of agents with their [`size`]s, in groups that are in memory at once.
pub(crate) fn in_groups(agents: impl IntoIterator<Item = (i64, i64)>) -> Vec<Vec<i64>> {
    const BYTES: i64 = 1 << 20;
    let mut groups: Vec<Vec<i64>> = Vec::new();
    let mut left = 0;
    for (id, size) in agents {
        match groups.last_mut() {
            Some(group) if size <= left => group.push(id),
            _ => {
                groups.push(vec![id]);
                left = BYTES;
            }
        }
        left -= size;
    }
    groups
}

/// Locks agents, and returns their ids [`in_groups`].
pub(crate) async fn lock(
    work: &UnitOfWork,
    agents: Select<agent::Entity>,
) -> Result<Vec<Vec<i64>>, DbErr> {
    let locked: Vec<(i64, i64)> = agents
        .select_only()
        .column(agent::Column::Id)
        .expr_as(size(), "size")
        .order_by_asc(agent::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .into_tuple()
        .all(work.db())
        .await?;
    Ok(in_groups(locked))
}

/// The agents that have no version.
pub(crate) fn without() -> Select<agent::Entity> {
    agent::Entity::find().filter(agent::Column::Version.eq(0))
}

/// Records a first version of the agents that have none.
pub(crate) async fn record_first(work: UnitOfWork) -> Result<(), Error> {
    let backend = work.db().get_database_backend();
    for ids in lock(&work, without()).await? {
        let changed = agent::Entity::update_many()
            .col_expr(agent::Column::Version, next_in_sql())
            .col_expr(
                agent::Column::Revision,
                revision::next_in_sql(agent::Column::Revision),
            )
            .filter(search::among(backend, agent::Column::Id, ids))
            .exec_with_returning(work.db())
            .await?;
        record(&work, changed).await?;
    }
    Ok(())
}

/// Records the versions of agents as they are now: one statement for all.
pub(crate) async fn record(work: &UnitOfWork, agents: Vec<agent::Model>) -> Result<(), DbErr> {
    if agents.is_empty() {
        return Ok(());
    }
    let created_at = now();
    let actor = work.actor();
    let mut versions = Vec::with_capacity(agents.len());
    for row in agents {
        let (agent_id, number) = (row.id, row.version);
        let (definition, digest) = written(row)?;
        versions.push(agent_version::ActiveModel {
            agent_id: Set(agent_id),
            number: Set(number),
            definition: Set(definition),
            digest: Set(digest),
            message: Set(actor.message.clone()),
            key_id: Set(actor.caller.key_id()),
            created_at: Set(created_at),
        });
    }
    agent_version::Entity::insert_many(versions)
        .exec_without_returning(work.db())
        .await?;
    Ok(())
}
