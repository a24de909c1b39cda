//! The roster: what the service exists for.
//!
//! A circle with its members, their agents, models and providers is one statement, whatever the
//! number of members; a page of circles with their members is one more than the page. The text of
//! the statements is built once, the same for both databases, and members are never decoded: what
//! the driver received is what the answer is written from. (SeaORM's loaders took four times as
//! long.) A test compares the answer with a load member by member.
//!
//! The joins are flat, because SQLite materialises a join in parentheses, at seventy times the
//! cost. JSON columns are read as text and pass through unparsed.

use std::{collections::HashMap, sync::LazyLock};

use chrono::{DateTime, Utc};
use entity::values::{JsonObject, MemberRole};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};

use super::{
    dto::{Roster, RosterMember},
    queries::{State, unknown},
};
use crate::{
    error::Error,
    rows::{Columns, Field, FromRow, Rows, flag, integer, json, moment, number, text},
};

const CIRCLE_COLUMNS: &str = "c.id, c.name, c.display_name, c.description, c.status, \
    c.require_review, c.auto_route, c.max_members, CAST(c.settings AS text), c.project_context, c.is_active, \
    c.started_at, c.stopped_at, c.created_at, c.updated_at, c.revision";

fn circle(column: &mut Columns<'_>) -> Result<(Roster, State), DbErr> {
    let roster = Roster {
        id: column.next()?,
        name: column.next()?,
        display_name: column.maybe()?,
        description: column.maybe()?,
        status: column.next()?,
        require_review: column.next()?,
        auto_route: column.next()?,
        max_members: column.maybe()?,
        settings: column.next_json::<JsonObject>()?,
        project_context: column.maybe()?,
        is_active: column.next()?,
        started_at: column.maybe()?,
        stopped_at: column.maybe()?,
        created_at: column.next()?,
        updated_at: column.next()?,
        member_count: 0,
        members: Rows::default(),
    };
    let state = State {
        id: roster.id,
        revision: column.next()?,
    };
    Ok((roster, state))
}

impl FromRow for RosterMember {
    const FIELDS: &'static [Field] = &[
        integer("member_id", "m.id"),
        integer("agent_id", "m.agent_id"),
        text("role", "m.role"),
        flag("is_active", "m.is_active"),
        moment("joined_at", "m.joined_at"),
        json("competencies", "m.competencies"),
        json("can_review", "m.can_review"),
        json("permissions", "m.permissions"),
        text("agent_name", "a.name"),
        text("agent_role", "a.role"),
        text("system_prompt", "a.system_prompt"),
        text("base_prompt", "a.base_prompt"),
        json("skill_names", "a.skill_names"),
        text("agent_status", "a.status"),
        number("temperature", "a.temperature"),
        integer("max_tokens", "a.max_tokens"),
        integer("model_id", "a.model_id"),
        text("model_name", "o.model_name"),
        text("model_alias", "o.model_alias"),
        integer("provider_id", "p.id"),
        text("provider_name", "p.name"),
        text("provider_api_type", "p.api_type"),
    ];
}

/// What a roster is ordered by, and whether a member still is one: the first of its columns.
struct Place {
    order: (MemberRole, DateTime<Utc>, i64),
    is_active: bool,
}

impl Place {
    fn read(row: &QueryResult, first: usize) -> Result<Self, DbErr> {
        let mut columns = Columns::from(row, first);
        let (member_id, _agent_id): (i64, i64) = (columns.next()?, columns.next()?);
        let role = columns.next()?;
        let is_active = columns.next()?;
        Ok(Self {
            order: (role, columns.next()?, member_id),
            is_active,
        })
    }
}

/// The members in the roster's order, and how many of them are active.
fn in_order(rows: Vec<QueryResult>, first: usize) -> Result<(Rows<RosterMember>, usize), DbErr> {
    let placed = rows
        .into_iter()
        .map(|row| Ok((Place::read(&row, first)?, row)));
    let mut placed = placed.collect::<Result<Vec<_>, DbErr>>()?;
    placed.sort_unstable_by_key(|(place, _)| place.order);
    let active = placed.iter().filter(|(place, _)| place.is_active).count();
    let rows = placed.into_iter().map(|(_, row)| row).collect();
    Ok((Rows::new(rows, first), active))
}

const MEMBER_JOINS: &str = "LEFT JOIN agents a ON a.id = m.agent_id \
    LEFT JOIN models o ON o.id = a.model_id \
    LEFT JOIN providers p ON p.id = o.provider_id";

static ACTIVE: LazyLock<String> = LazyLock::new(|| of_name("AND m.is_active"));
static WITH_INACTIVE: LazyLock<String> = LazyLock::new(|| of_name(""));

fn of_name(which: &str) -> String {
    format!(
        "SELECT {CIRCLE_COLUMNS}, {} FROM circles c \
         LEFT JOIN members m ON m.circle_id = c.id {which} {MEMBER_JOINS} \
         WHERE c.name = $1 AND c.is_active",
        RosterMember::columns()
    )
}

static OF_CIRCLES_POSTGRES: LazyLock<String> =
    LazyLock::new(|| of_circles("= ANY(CAST($1 AS bigint[]))"));
static OF_CIRCLES_SQLITE: LazyLock<String> =
    LazyLock::new(|| of_circles("IN (SELECT value FROM json_each($1))"));

fn of_circles(among: &str) -> String {
    format!(
        "SELECT m.circle_id, {} FROM members m {MEMBER_JOINS} \
         WHERE m.is_active AND m.circle_id {among}",
        RosterMember::columns()
    )
}

/// The circle of that name with its members, and its state, in one statement.
pub(crate) async fn get(
    db: &impl ConnectionTrait,
    name: &str,
    include_inactive: bool,
) -> Result<(Roster, State), Error> {
    let text = if include_inactive {
        &WITH_INACTIVE
    } else {
        &ACTIVE
    };
    let rows = query(db, text, name.into()).await?;
    let first = rows.first().ok_or_else(|| unknown(name))?;
    let mut columns = Columns::of(first);
    let (mut roster, state) = circle(&mut columns)?;
    let after_circle = columns.index();
    if columns.maybe::<i64>()?.is_some() {
        let (members, active) = in_order(rows, after_circle)?;
        roster.members = members;
        roster.member_count = i64::try_from(active).unwrap_or(i64::MAX);
    }
    Ok((roster, state))
}

/// The active members of these circles by circle, in one statement.
pub(crate) async fn members_of(
    db: &impl ConnectionTrait,
    circles: impl Iterator<Item = i64>,
) -> Result<HashMap<i64, Rows<RosterMember>>, Error> {
    let ids = circles
        .map(|id| id.to_string())
        .collect::<Vec<_>>()
        .join(",");
    let (text, ids) = match db.get_database_backend() {
        DbBackend::Sqlite => (&OF_CIRCLES_SQLITE, format!("[{ids}]")),
        _ => (&OF_CIRCLES_POSTGRES, format!("{{{ids}}}")),
    };
    let mut rows: HashMap<i64, Vec<QueryResult>> = HashMap::new();
    for row in query(db, text, ids.into()).await? {
        rows.entry(row.try_get_by_index(0)?).or_default().push(row);
    }
    let members = rows
        .into_iter()
        .map(|(circle_id, rows)| Ok((circle_id, in_order(rows, 1)?.0)));
    Ok(members.collect::<Result<_, DbErr>>()?)
}

async fn query(
    db: &impl ConnectionTrait,
    text: &str,
    value: sea_orm::Value,
) -> Result<Vec<QueryResult>, DbErr> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), text, [value]);
    db.query_all_raw(statement).await
}

#[cfg(test)]
mod tests {
    use poem_openapi::{registry::Registry, types::Type};

    use super::*;

    #[test]
    fn a_member_is_written_as_it_is_declared() {
        let mut registry = Registry::new();
        RosterMember::register(&mut registry);
        let declared = &registry.schemas["RosterMember"].properties;
        let declared: Vec<&str> = declared.iter().map(|(name, _)| *name).collect();
        let written: Vec<&str> = RosterMember::FIELDS
            .iter()
            .map(|field| field.name)
            .collect();
        assert_eq!(written, declared);
    }
}
