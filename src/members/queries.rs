//! Reads and writes of memberships. Leaving ends a membership and coming back restores it, so that
//! an agent has one row in a circle for good.

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

/// How a member is called in the audit.
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

/// Changes the columns that are set.
pub(crate) async fn update(
    work: &UnitOfWork,
    circle: &str,
    agent_id: i64,
    precondition: &Precondition,
    row: member::ActiveModel,
) -> Result<member::Model, Error> {
    let fields = Fields::set_in(&row);
    if fields.is_empty() {
        let row = get(work.db(), circle, agent_id).await?;
        precondition.check(row.id, row.revision)?;
        return Ok(row);
    }
    let row = change_active(work, circle, agent_id, precondition, row).await?;
    work.record(change(Action::Update, circle, &row).fields(fields));
    Ok(row)
}

/// Ends a membership.
pub(crate) async fn remove(
    work: &UnitOfWork,
    circle: &str,
    agent_id: i64,
    precondition: &Precondition,
) -> Result<(), Error> {
    let row = change_active(work, circle, agent_id, precondition, ended()).await?;
    work.record(change(Action::Delete, circle, &row));
    Ok(())
}

/// What changes when a membership ends.
pub(super) fn ended() -> member::ActiveModel {
    member::ActiveModel {
        is_active: Set(false),
        left_at: Set(Some(now())),
        ..ActiveModelTrait::default()
    }
}

/// The circle is held first, as by everyone who writes members, so that no two wait for each other.
async fn change_active(
    work: &UnitOfWork,
    circle: &str,
    agent_id: i64,
    precondition: &Precondition,
    mut row: member::ActiveModel,
) -> Result<member::Model, Error> {
    let db = work.db();
    circles::queries::get_for_update(db, circle).await?;
    let before = get(db, circle, agent_id).await?;
    precondition.check(before.id, before.revision)?;
    row.id = Unchanged(before.id);
    row.revision = Set(before.revision + 1);
    Ok(row.update(db).await?)
}

pub(super) fn unknown(circle: &str, agent_id: i64) -> Error {
    Error::not_found("member", format!("{agent_id} of circle {circle}"))
}

pub(super) fn exists(circle: &str, agent_id: i64) -> Error {
    Error::conflict(
        "member_exists",
        format!("agent {agent_id} is a member of circle {circle} already"),
    )
}

pub(super) fn full(circle_row: &circle::Model, limit: i32) -> Error {
    Error::conflict(
        "circle_full",
        format!("circle {} has all of its {limit} members", circle_row.name),
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
