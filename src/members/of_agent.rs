//! All memberships of one agent at once: its deletion ends them, and its restoration can bring them back.
//! They are locked, read and written in one statement each. Very many are left to [`jobs`].

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use entity::{agent, circle, member};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
    sea_query::{Expr, ExprTrait, SelectStatement},
};

use super::{
    jobs::{self, MembershipsAtOnce},
    queries::{circle_full, ended_at, fetch_changed, setting},
};
use crate::{
    error::Error,
    write::{Action, UnitOfWork},
};

/// What is needed of a locked circle.
struct LockedCircle {
    id: i64,
    name: String,
    max_members: Option<i32>,
    member_count: i64,
}

/// When an agent was deleted, and whether a job is still at its memberships.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deletion {
    pub(crate) at: DateTime<Utc>,
    pub(crate) has_job: bool,
}

/// Ends an agent's memberships at the time of its deletion, by which [`restore_all`] finds them; those of an agent that
/// has very many are left to a job.
pub(crate) async fn end_all(
    work: &UnitOfWork,
    agent_id: i64,
    deleted_at: DateTime<Utc>,
    at_once: MembershipsAtOnce,
) -> Result<(), Error> {
    let which = of_agent(agent_id).add(member::Entity::active());
    match lock_few_circles(work.db(), &which, at_once).await? {
        Some(circles) => set(work, Action::Delete, circles, which, ended_at(deleted_at)).await,
        None => Ok(jobs::schedule(work.db(), agent_id, false, deleted_at).await?),
    }
}

/// Ends the memberships of a batch.
pub(super) async fn end(
    work: &UnitOfWork,
    which: Condition,
    deleted_at: DateTime<Utc>,
) -> Result<(), Error> {
    let circles = lock_circles(work.db(), &which, jobs::BATCH).await?;
    set(work, Action::Delete, circles, which, ended_at(deleted_at)).await
}

/// Brings back the memberships that the deletion of an agent ended, also those in circles that are deleted.
/// Very many are left to a job, which passes over those in circles that are full.
///
/// # Errors
/// [`circle_full`] if a circle has no place for the agent.
pub(crate) async fn restore_all(
    work: &UnitOfWork,
    agent_id: i64,
    deletion: Deletion,
    at_once: MembershipsAtOnce,
) -> Result<(), Error> {
    let Deletion { at, has_job } = deletion;
    let which = of_agent(agent_id)
        .add(member::Entity::active().not())
        .add(member::Column::LeftAt.gte(at));
    let circles = if has_job {
        None
    } else {
        lock_few_circles(work.db(), &which, at_once).await?
    };
    let Some(mut circles) = circles else {
        return Ok(jobs::schedule(work.db(), agent_id, true, at).await?);
    };
    if let Some(full) = find_full(work, &mut circles).await?.first() {
        return Err(circle_full(&full.name, full.max_members));
    }
    set(work, Action::Restore, circles, which, restored()).await
}

/// Brings back those memberships of a batch whose circles have a place for the agent.
pub(super) async fn restore_where_there_is_room(
    work: &UnitOfWork,
    which: Condition,
) -> Result<(), Error> {
    let mut circles = lock_circles(work.db(), &which, jobs::BATCH).await?;
    let full = find_full(work, &mut circles).await?;
    let full = full.iter().map(|circle| circle.id);
    let which = which.add(member::Column::CircleId.is_not_in(full));
    set(work, Action::Restore, circles, which, restored()).await
}

fn restored() -> member::ActiveModel {
    member::ActiveModel {
        is_active: Set(true),
        left_at: Set(None),
        ..ActiveModelTrait::default()
    }
}

/// Takes those from among locked circles that have no place.
async fn find_full(
    work: &UnitOfWork,
    circles: &mut Vec<LockedCircle>,
) -> Result<Vec<LockedCircle>, Error> {
    let is_full = |circle: &mut LockedCircle| {
        let limit = circle.max_members.map_or(i64::MAX, i64::from);
        circle.member_count >= limit
    };
    let mut full = Vec::new();
    for mut circle in circles.extract_if(.., is_full).collect::<Vec<_>>() {
        circle.member_count -= end_of_deleted(work, circle.id, &circle.name).await?;
        if is_full(&mut circle) {
            full.push(circle);
        } else {
            circles.push(circle);
        }
    }
    Ok(full)
}

/// The deleted agents that may have memberships that have not been ended yet.
pub(super) fn deleted_agents() -> SelectStatement {
    agent::Entity::find()
        .select_only()
        .column(agent::Column::Id)
        .filter(agent::Entity::not_deleted().not())
        .filter(agent::Column::Id.in_subquery(jobs::agents()))
        .into_query()
}

/// Ends those of a locked circle's memberships whose agents were deleted, before a job does. Returns how many.
pub(super) async fn end_of_deleted(
    work: &UnitOfWork,
    circle_id: i64,
    circle: &str,
) -> Result<i64, Error> {
    let which = Condition::all()
        .add(member::Column::CircleId.eq(circle_id))
        .add(member::Entity::active())
        .add(member::Column::AgentId.in_subquery(deleted_agents()));
    let columns = member::ActiveModel {
        is_active: Set(false),
        ..ActiveModelTrait::default()
    };
    let when = "(SELECT updated_at FROM agents WHERE agents.id = members.agent_id)";
    let ending = setting(columns, which).col_expr(member::Column::LeftAt, Expr::cust(when));
    let ended = fetch_changed(work.db(), ending).await?;
    work.record_all(
        ended
            .iter()
            .map(|member| member.change(Action::Delete, |_| circle)),
    );
    Ok(i64::try_from(ended.len()).unwrap_or(i64::MAX))
}

fn of_agent(agent_id: i64) -> Condition {
    Condition::all().add(member::Column::AgentId.eq(agent_id))
}

/// Locks the circles of memberships. `None` if they are too many for one transaction.
async fn lock_few_circles(
    db: &impl ConnectionTrait,
    which: &Condition,
    MembershipsAtOnce(at_once): MembershipsAtOnce,
) -> Result<Option<Vec<LockedCircle>>, Error> {
    let circles = lock_circles(db, which, at_once + 1).await?;
    let is_few = u64::try_from(circles.len()).is_ok_and(|count| count <= at_once);
    Ok(is_few.then_some(circles))
}

/// Locks the circles of so many memberships, in the order in which all writes lock circles.
async fn lock_circles(
    db: &impl ConnectionTrait,
    which: &Condition,
    at_most: u64,
) -> Result<Vec<LockedCircle>, Error> {
    use circle::Column;
    let circle_ids = member::Entity::find()
        .select_only()
        .column(member::Column::CircleId)
        .filter(which.clone())
        .limit(at_most)
        .into_query();
    let rows: Vec<(i64, String, Option<i32>, i64)> = circle::Entity::find()
        .select_only()
        .columns([
            Column::Id,
            Column::Name,
            Column::MaxMembers,
            Column::MemberCount,
        ])
        .filter(Column::Id.in_subquery(circle_ids))
        .order_by_asc(Column::Id)
        .lock_exclusive()
        .into_tuple()
        .all(db)
        .await?;
    let circles = rows.into_iter();
    Ok(circles
        .map(|(id, name, max_members, member_count)| LockedCircle {
            id,
            name,
            max_members,
            member_count,
        })
        .collect())
}

/// Sets columns of memberships, and records each.
async fn set(
    work: &UnitOfWork,
    action: Action,
    circles: Vec<LockedCircle>,
    which: Condition,
    columns: member::ActiveModel,
) -> Result<(), Error> {
    let circles = circles.into_iter().map(|circle| (circle.id, circle.name));
    let names: HashMap<i64, String> = circles.collect();
    let changed = fetch_changed(work.db(), setting(columns, which)).await?;
    let circle_of = |id| names.get(&id).map_or("", String::as_str);
    work.record_all(
        changed
            .iter()
            .map(|member| member.change(action, circle_of)),
    );
    Ok(())
}
