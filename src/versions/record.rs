//! Writing versions, in the transaction of the change.

use entity::{agent, agent_version, values::now};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    DbErr, EntityTrait, IntoActiveModel, Iterable, TryIntoModel,
    sea_query::{Expr, ExprTrait},
};

use super::definition::written;
use crate::write::{self, UnitOfWork};

/// The number to save with changes of a locked agent; `None` if its definition stays the same.
pub(crate) fn next(
    before: &agent::Model,
    changes: &agent::ActiveModel,
) -> Result<Option<i64>, DbErr> {
    let after = write::merge(before.clone().into_active_model(), changes);
    let mut columns = agent::Column::iter();
    if !columns.any(|column| defines(column) && matches!(after.get(column), Set(_))) {
        return Ok(None);
    }
    let (_, digest) = written(before.clone())?;
    let (_, new_digest) = written(after.try_into_model()?)?;
    Ok((digest != new_digest).then_some(before.version + 1))
}

/// Whether a column is part of the definition.
fn defines(column: agent::Column) -> bool {
    use agent::Column::{CreatedAt, Id, IsActive, Revision, Status, UpdatedAt, Version};
    !matches!(
        column,
        Id | Status | IsActive | CreatedAt | UpdatedAt | Revision | Version
    )
}

/// The number that a statement sets which changes the definitions of many agents.
pub(crate) fn next_in_sql() -> Expr {
    Expr::col(agent::Column::Version).add(1)
}

/// Records the versions of agents as they are now: one statement for all.
pub(crate) async fn record(work: &UnitOfWork, agents: Vec<agent::Model>) -> Result<(), DbErr> {
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
    if versions.is_empty() {
        return Ok(());
    }
    agent_version::Entity::insert_many(versions)
        .exec_without_returning(work.db())
        .await?;
    Ok(())
}
