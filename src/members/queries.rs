//! Reads and writes of memberships. Removing a member ends its membership, and adding it again restores
//! it, so an agent never has more than one row in a circle.

use std::collections::HashMap;

use entity::{
    agent, circle, member,
    values::{MemberRole, now},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{Set, Unchanged},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryTrait, Select,
};

use super::dto::AgentCircle;
use crate::{
    circles,
    error::Error,
    page::{self, Page, PageRequest},
    revision::Precondition,
    search,
    write::{Action, Change, Fields, Resource, UnitOfWork},
};

pub(crate) fn change(action: Action, circle: &str, row: &member::Model) -> Change {
    Change::new(action, Resource::Member)
        .id(row.id)
        .name(name_of(circle, row.agent_id))
        .revision(row.revision)
}

/// The name of a member in the audit.
pub(super) fn name_of(circle: &str, agent_id: i64) -> String {
    format!("{circle}/{agent_id}")
}

/// Which members a list shows.
#[derive(Debug, Default)]
pub(crate) struct MemberFilter {
    pub(crate) role: Option<MemberRole>,
    pub(crate) include_inactive: bool,
}

pub(crate) async fn list(
    db: &impl ConnectionTrait,
    circle: &str,
    filter: MemberFilter,
    page: PageRequest,
) -> Result<Page<member::Model>, Error> {
    let MemberFilter {
        role,
        include_inactive,
    } = filter;
    let circle_row = circles::queries::get(db, circle).await?;
    let query = of_circle(circle_row.id)
        .apply_if(role, |query, role| {
            query.filter(member::Column::Role.eq(role))
        })
        .apply_if((!include_inactive).then_some(()), |query, ()| {
            query.filter(search::is_true(member::Column::IsActive))
        });
    page::fetch(
        db,
        query,
        member::Column::Id,
        page,
        |row: &member::Model| row.id,
    )
    .await
}

pub(super) fn of_circle(circle_id: i64) -> Select<member::Entity> {
    member::Entity::find().filter(member::Column::CircleId.eq(circle_id))
}

/// An active membership.
pub(crate) async fn get(
    db: &impl ConnectionTrait,
    circle: &str,
    agent_id: i64,
) -> Result<member::Model, Error> {
    let circle_row = circles::queries::get(db, circle).await?;
    of_circle(circle_row.id)
        .filter(member::Column::AgentId.eq(agent_id))
        .filter(search::is_true(member::Column::IsActive))
        .one(db)
        .await?
        .ok_or_else(|| unknown(circle, agent_id))
}

/// Sets the columns that `changes` sets.
pub(crate) async fn update(
    work: UnitOfWork,
    circle: &str,
    agent_id: i64,
    precondition: &Precondition,
    changes: member::ActiveModel,
) -> Result<member::Model, Error> {
    let fields = Fields::set_in(&changes);
    if fields.is_empty() {
        let row = get(work.db(), circle, agent_id).await?;
        precondition.check(row.id, row.revision)?;
        return Ok(row);
    }
    let row = save(work.db(), circle, agent_id, precondition, changes).await?;
    work.record(change(Action::Update, circle, &row).fields(fields));
    Ok(row)
}

/// Ends a membership.
pub(crate) async fn remove(
    work: UnitOfWork,
    circle: &str,
    agent_id: i64,
    precondition: &Precondition,
) -> Result<(), Error> {
    let row = save(work.db(), circle, agent_id, precondition, ended()).await?;
    work.record(change(Action::Delete, circle, &row));
    Ok(())
}

/// The columns that change when a membership ends.
pub(crate) fn ended() -> member::ActiveModel {
    member::ActiveModel {
        is_active: Set(false),
        left_at: Set(Some(now())),
        ..ActiveModelTrait::default()
    }
}

/// Changes an active membership. The circle is locked first, as by every other change of members, so that
/// two of them never wait for each other.
async fn save(
    db: &impl ConnectionTrait,
    circle: &str,
    agent_id: i64,
    precondition: &Precondition,
    mut changes: member::ActiveModel,
) -> Result<member::Model, Error> {
    circles::queries::get_for_update(db, circle).await?;
    let before = get(db, circle, agent_id).await?;
    precondition.check(before.id, before.revision)?;
    changes.id = Unchanged(before.id);
    changes.revision = Unchanged(before.revision);
    Ok(changes.update(db).await?)
}

/// How many more members a circle takes; negative if its limit was lowered below what it has.
pub(super) fn free_places(circle_row: &circle::Model) -> i64 {
    let limit = circle_row.max_members.map_or(i64::MAX, i64::from);
    limit - circle_row.member_count
}

pub(super) fn unknown(circle: &str, agent_id: i64) -> Error {
    Error::not_found("member", format!("{agent_id} of circle {circle}"))
}

pub(super) fn member_exists(circle: &str, agent_id: i64) -> Error {
    Error::conflict(
        "member_exists",
        format!("agent {agent_id} is already a member of circle {circle}"),
    )
}

pub(super) fn circle_full(circle_row: &circle::Model) -> Error {
    let circle::Model {
        name, max_members, ..
    } = circle_row;
    let limit = max_members.unwrap_or_default();
    Error::conflict(
        "circle_full",
        format!("circle {name} has reached its limit of {limit} members"),
    )
}

/// The live circles that an agent is an active member of.
pub(crate) async fn list_of_agent(
    db: &impl ConnectionTrait,
    agent_id: i64,
    page: PageRequest,
) -> Result<Page<AgentCircle>, Error> {
    let agents =
        agent::Entity::find_by_id(agent_id).filter(search::is_true(agent::Column::IsActive));
    if agents.one(db).await?.is_none() {
        return Err(Error::not_found("agent", agent_id.to_string()));
    }
    let memberships = member::Entity::find()
        .inner_join(circle::Entity)
        .filter(member::Column::AgentId.eq(agent_id))
        .filter(search::is_true(member::Column::IsActive))
        .filter(search::is_true(circle::Column::IsActive));
    let page = page::fetch(
        db,
        memberships,
        member::Column::Id,
        page,
        |row: &member::Model| row.id,
    )
    .await?;
    let ids = page.rows.iter().map(|member_row| member_row.circle_id);
    let mut circles: HashMap<i64, circle::Model> = circle::Entity::find()
        .filter(search::is_true(circle::Column::IsActive))
        .filter(circle::Column::Id.is_in(ids))
        .all(db)
        .await?
        .into_iter()
        .map(|row| (row.id, row))
        .collect();
    // A circle deleted between the two statements is left out, as it would be a moment later.
    let rows = page.rows.into_iter().filter_map(|member_row| {
        let circle_row = circles.remove(&member_row.circle_id)?;
        Some(AgentCircle {
            membership: member_row.into(),
            circle: circle_row.into(),
        })
    });
    Ok(Page {
        rows: rows.collect(),
        next_cursor: page.next_cursor,
        total: page.total,
    })
}
