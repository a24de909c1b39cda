//! Reads and writes of memberships. Leaving ends a membership and coming back revives it, so that
//! an agent has one row in a circle for good.

use entity::{
    circle, member,
    values::{MemberRole, now},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{Set, Unchanged},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryTrait, Select,
};

use crate::{
    audit::{Action, Change, Fields, Resource},
    circles,
    error::Error,
    page::{self, Page, PageRequest},
    revision::Expected,
    search,
    write::Work,
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
    work: &Work,
    circle: &str,
    agent_id: i64,
    expected: &Expected,
    row: member::ActiveModel,
) -> Result<member::Model, Error> {
    let fields = Fields::set_in(&row);
    if fields.is_empty() {
        let row = get(work.db(), circle, agent_id).await?;
        expected.check(row.id, row.revision)?;
        return Ok(row);
    }
    let row = change_active(work, circle, agent_id, expected, row).await?;
    work.note(change(Action::Update, circle, &row).fields(fields));
    Ok(row)
}

/// Ends a membership.
pub(crate) async fn remove(
    work: &Work,
    circle: &str,
    agent_id: i64,
    expected: &Expected,
) -> Result<(), Error> {
    let row = change_active(work, circle, agent_id, expected, ended()).await?;
    work.note(change(Action::Delete, circle, &row));
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
    work: &Work,
    circle: &str,
    agent_id: i64,
    expected: &Expected,
    mut row: member::ActiveModel,
) -> Result<member::Model, Error> {
    let db = work.db();
    circles::queries::get_for_update(db, circle).await?;
    let before = get(db, circle, agent_id).await?;
    expected.check(before.id, before.revision)?;
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
