//! Reads and writes of memberships. Removing a member ends its membership, and adding it again restores
//! it, so an agent never has more than one row in a circle.

use chrono::{DateTime, Utc};
use entity::{
    agent, circle, member,
    revision::next_in_sql,
    values::{MemberRole, now},
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr,
    EntityTrait, IntoActiveModel, Order, QueryFilter, QueryResult, QueryTrait, Select, UpdateMany,
    sea_query::Query,
};

use super::dto::Member;
use crate::{
    circles::{self, dto::Circle},
    database::Connections,
    error::Error,
    page::{self, Page, PageRequest},
    revision::Precondition,
    rows,
    write::{self, Action, Change, Resource, UnitOfWork, merge},
};

pub(crate) fn change(action: Action, circle: &str, row: &member::Model) -> Change {
    Change::new(action, Resource::Member)
        .id(row.id)
        .name(name_of(circle, row.agent_id))
        .revision(row.revision)
        .circle(row.circle_id)
}

/// What identifies a membership that was changed, for the audit.
pub(super) struct ChangedMember {
    id: i64,
    circle_id: i64,
    pub(super) agent_id: i64,
    revision: i64,
}

impl ChangedMember {
    /// `circle_of` knows the name of a circle by its id.
    pub(super) fn change<'n>(&self, action: Action, circle_of: impl Fn(i64) -> &'n str) -> Change {
        Change::new(action, Resource::Member)
            .id(self.id)
            .name(name_of(circle_of(self.circle_id), self.agent_id))
            .revision(self.revision)
            .circle(self.circle_id)
    }
}

/// The statement that sets columns of the memberships that `which` selects.
pub(super) fn setting(
    columns: member::ActiveModel,
    which: Condition,
) -> UpdateMany<member::Entity> {
    member::Entity::update_many()
        .set(columns)
        .col_expr(
            member::Column::Revision,
            next_in_sql(member::Column::Revision),
        )
        .filter(which)
}

/// Runs a statement of [`setting`], and returns the memberships in the order of their ids. There may be any number of
/// them, so no more of their rows is read than what identifies them.
pub(super) async fn fetch_changed(
    db: &impl ConnectionTrait,
    setting: UpdateMany<member::Entity>,
) -> Result<Vec<ChangedMember>, DbErr> {
    use member::Column::{AgentId, CircleId, Id, Revision};
    let mut statement = setting.into_query();
    statement.returning(Query::returning().columns([Id, CircleId, AgentId, Revision]));
    let rows = db.query_all(&statement).await?;
    let mut changed = Vec::with_capacity(rows.len());
    for row in &rows {
        let (id, circle_id, agent_id, revision) = row.try_get_many_by_index()?;
        changed.push(ChangedMember {
            id,
            circle_id,
            agent_id,
            revision,
        });
    }
    changed.sort_unstable_by_key(|member| member.id);
    Ok(changed)
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

/// Rows of [`Member`]s.
pub(crate) async fn list(
    db: &Connections,
    circle: &str,
    filter: MemberFilter,
    page: PageRequest,
) -> Result<Page<QueryResult>, Error> {
    let MemberFilter {
        role,
        include_inactive,
    } = filter;
    let circle_row = circles::queries::get(db, circle).await?;
    let query = rows::select_only::<_, Member>(of_circle(circle_row.id).inner_join(agent::Entity))
        .apply_if(role, |query, role| {
            query.filter(member::Column::Role.eq(role))
        })
        .filter(member::Entity::shown(include_inactive));
    page::fetch(db, query, member::Column::Id, Order::Asc, page).await
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
    get_in(db, &circle_row, agent_id).await
}

async fn get_in(
    db: &impl ConnectionTrait,
    circle_row: &circle::Model,
    agent_id: i64,
) -> Result<member::Model, Error> {
    of_circle(circle_row.id)
        .inner_join(agent::Entity)
        .filter(member::Column::AgentId.eq(agent_id))
        .filter(member::Entity::shown(false))
        .one(db)
        .await?
        .ok_or_else(|| unknown(&circle_row.name, agent_id))
}

/// Sets the columns that `changes` sets.
pub(crate) async fn update(
    work: UnitOfWork,
    circle: &str,
    agent_id: i64,
    precondition: &Precondition,
    changes: member::ActiveModel,
) -> Result<member::Model, Error> {
    let before = get_for_update(work.db(), circle, agent_id).await?;
    precondition.check(before.id, before.revision)?;
    let saved = write::save_changes(work.db(), &before, &changes).await?;
    let Some((row, fields)) = saved else {
        return Ok(before);
    };
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
    let before = get_for_update(work.db(), circle, agent_id).await?;
    precondition.check(before.id, before.revision)?;
    let row = merge(before.into_active_model(), &ended());
    let row = row.update(work.db()).await?;
    work.record(change(Action::Delete, circle, &row));
    Ok(())
}

/// The columns that change when a membership ends now.
pub(super) fn ended() -> member::ActiveModel {
    ended_at(now())
}

pub(super) fn ended_at(left_at: DateTime<Utc>) -> member::ActiveModel {
    member::ActiveModel {
        is_active: Set(false),
        left_at: Set(Some(left_at)),
        ..ActiveModelTrait::default()
    }
}

/// An active membership, to change it. The circle is locked, as by every other change of members, so that
/// two of them never wait for each other.
async fn get_for_update(
    db: &impl ConnectionTrait,
    circle: &str,
    agent_id: i64,
) -> Result<member::Model, Error> {
    let circle_row = circles::queries::get_for_update(db, circle).await?;
    get_in(db, &circle_row, agent_id).await
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

pub(super) fn circle_full(name: &str, max_members: Option<i32>) -> Error {
    let limit = max_members.unwrap_or_default();
    Error::conflict(
        "circle_full",
        format!("circle {name} has reached its limit of {limit} members"),
    )
}

/// The memberships of an agent in circles that are not deleted: rows of [`Member`]s, followed by their
/// [`Circle`]s.
pub(crate) async fn list_of_agent(
    db: &Connections,
    agent_id: i64,
    include_inactive: bool,
    page: PageRequest,
) -> Result<Page<QueryResult>, Error> {
    let agents = agent::Entity::find_not_deleted().filter(agent::Column::Id.eq(agent_id));
    if agents.one(db).await?.is_none() {
        return Err(Error::not_found("agent", agent_id.to_string()));
    }
    let memberships = member::Entity::find()
        .inner_join(circle::Entity)
        .filter(member::Column::AgentId.eq(agent_id))
        .apply_if((!include_inactive).then_some(()), |query, ()| {
            query.filter(member::Entity::active())
        })
        .filter(circle::Entity::not_deleted());
    let query = rows::select_only::<_, Member>(memberships);
    let query = rows::also_select::<_, Circle>(query);
    page::fetch(db, query, member::Column::Id, Order::Asc, page).await
}
