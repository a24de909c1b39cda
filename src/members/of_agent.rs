//! All memberships of one agent at once: its deletion ends them, and its restoration can bring them back.
//! However many they are, they are locked, read and written in one statement each.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use entity::{circle, member};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait, sea_query::ExprTrait,
};

use super::queries::{circle_full, ended_at, set_where};
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

/// Ends an agent's memberships at the time of its deletion, by which [`restore_all`] finds them.
pub(crate) async fn end_all(
    work: &UnitOfWork,
    agent_id: i64,
    deleted_at: DateTime<Utc>,
) -> Result<(), Error> {
    let which = of_agent(agent_id).add(member::Entity::active());
    let circles = lock_circles(work.db(), &which).await?;
    set(work, Action::Delete, circles, which, ended_at(deleted_at)).await
}

/// Brings back the memberships that the deletion of an agent ended, also those in circles that are deleted.
///
/// # Errors
/// [`circle_full`] if a circle has no place for the agent.
pub(crate) async fn restore_all(
    work: &UnitOfWork,
    agent_id: i64,
    deleted_at: DateTime<Utc>,
) -> Result<(), Error> {
    let which = of_agent(agent_id)
        .add(member::Entity::active().not())
        .add(member::Column::LeftAt.gte(deleted_at));
    let circles = lock_circles(work.db(), &which).await?;
    for circle in &circles {
        let limit = circle.max_members.map_or(i64::MAX, i64::from);
        if circle.member_count >= limit {
            return Err(circle_full(&circle.name, circle.max_members));
        }
    }
    let restored = member::ActiveModel {
        is_active: Set(true),
        left_at: Set(None),
        ..ActiveModelTrait::default()
    };
    set(work, Action::Restore, circles, which, restored).await
}

fn of_agent(agent_id: i64) -> Condition {
    Condition::all().add(member::Column::AgentId.eq(agent_id))
}

/// Locks the circles of memberships, in the order in which all writes lock circles.
async fn lock_circles(
    db: &impl ConnectionTrait,
    which: &Condition,
) -> Result<Vec<LockedCircle>, Error> {
    use circle::Column;
    let circle_ids = member::Entity::find()
        .select_only()
        .column(member::Column::CircleId)
        .filter(which.clone())
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
    let changed = set_where(work.db(), columns, which).await?;
    let circle_of = |id| names.get(&id).map_or("", String::as_str);
    work.record_all(
        changed
            .iter()
            .map(|member| member.change(action, circle_of)),
    );
    Ok(())
}
