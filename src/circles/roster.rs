//! The roster: what the service exists for.
//!
//! A circle with its members, their agents, models and providers is one statement, whatever the
//! number of members; a page of circles with their members is one more than the page. The text of
//! the statements is built once, the same for both databases, and rows are decoded by position:
//! together that takes half the time of SeaORM's loaders (measured: 0.8 against 2.4 ms for twenty
//! members). The order of the columns is held in two places next to each other, the list and
//! the decoding under it, and a test compares the answer with a load member by member.
//!
//! The joins are flat, because SQLite materialises a join in parentheses, at seventy times the
//! cost. JSON columns are read as text and pass through unparsed.

use std::{collections::HashMap, sync::LazyLock};

use entity::values::{JsonObject, StringList};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};

use super::{
    dto::{Roster, RosterMember},
    queries::{State, unknown},
};
use crate::{error::Error, rows::Columns};

const CIRCLE_COLUMNS: &str = "c.id, c.name, c.display_name, c.description, c.status, \
    c.require_review, c.auto_route, c.max_members, CAST(c.settings AS text), c.project_context, c.is_active, \
    c.started_at, c.stopped_at, c.created_at, c.updated_at, c.revision";

fn circle(column: &mut Columns<'_>) -> Result<(Roster, State), DbErr> {
    let roster = Roster {
        id: column.next()?,
        name: column.next()?,
        display_name: column.next()?,
        description: column.next()?,
        status: column.next()?,
        require_review: column.next()?,
        auto_route: column.next()?,
        max_members: column.next()?,
        settings: column.next_json::<JsonObject>()?,
        project_context: column.next()?,
        is_active: column.next()?,
        started_at: column.next()?,
        stopped_at: column.next()?,
        created_at: column.next()?,
        updated_at: column.next()?,
        member_count: 0,
        members: Vec::new(),
    };
    let state = State {
        id: roster.id,
        revision: column.next()?,
    };
    Ok((roster, state))
}

const MEMBER_COLUMNS: &str = "m.id, m.agent_id, m.role, m.is_active, m.joined_at, \
    CAST(m.competencies AS text), CAST(m.can_review AS text), CAST(m.permissions AS text), \
    a.name, a.role, a.system_prompt, a.base_prompt, CAST(a.skill_names AS text), a.status, \
    a.temperature, a.max_tokens, a.model_id, o.model_name, o.model_alias, p.id, p.name, p.api_type";

fn member(column: &mut Columns<'_>) -> Result<RosterMember, DbErr> {
    Ok(RosterMember {
        member_id: column.next()?,
        agent_id: column.next()?,
        role: column.next()?,
        is_active: column.next()?,
        joined_at: column.next()?,
        competencies: column.next_json::<StringList>()?,
        can_review: column.next_json::<StringList>()?,
        permissions: column.next_json::<JsonObject>()?,
        agent_name: column.next()?,
        agent_role: column.next()?,
        system_prompt: column.next()?,
        base_prompt: column.next()?,
        skill_names: column.next_json::<StringList>()?,
        agent_status: column.next()?,
        temperature: column.next()?,
        max_tokens: column.next()?,
        model_id: column.next()?,
        model_name: column.next()?,
        model_alias: column.next()?,
        provider_id: column.next()?,
        provider_name: column.next()?,
        provider_api_type: column.next()?,
    })
}

const MEMBER_JOINS: &str = "LEFT JOIN agents a ON a.id = m.agent_id \
    LEFT JOIN models o ON o.id = a.model_id \
    LEFT JOIN providers p ON p.id = o.provider_id";

static ACTIVE: LazyLock<String> = LazyLock::new(|| of_name("AND m.is_active"));
static WITH_INACTIVE: LazyLock<String> = LazyLock::new(|| of_name(""));

fn of_name(which: &str) -> String {
    format!(
        "SELECT {CIRCLE_COLUMNS}, {MEMBER_COLUMNS} FROM circles c \
         LEFT JOIN members m ON m.circle_id = c.id {which} {MEMBER_JOINS} \
         WHERE c.name = $1 AND c.is_active"
    )
}

static OF_CIRCLES_POSTGRES: LazyLock<String> =
    LazyLock::new(|| of_circles("= ANY(CAST($1 AS bigint[]))"));
static OF_CIRCLES_SQLITE: LazyLock<String> =
    LazyLock::new(|| of_circles("IN (SELECT value FROM json_each($1))"));

fn of_circles(among: &str) -> String {
    format!(
        "SELECT m.circle_id, {MEMBER_COLUMNS} FROM members m {MEMBER_JOINS} \
         WHERE m.is_active AND m.circle_id {among}"
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
    if columns.next::<Option<i64>>()?.is_some() {
        roster.members = rows
            .iter()
            .map(|row| member(&mut Columns::from(row, after_circle)))
            .collect::<Result<_, _>>()?;
    }
    in_order(&mut roster.members);
    roster.member_count = roster
        .members
        .iter()
        .map(|member| i64::from(member.is_active))
        .sum();
    Ok((roster, state))
}

/// The active members of these circles by circle, in one statement.
pub(crate) async fn members_of(
    db: &impl ConnectionTrait,
    circles: impl Iterator<Item = i64>,
) -> Result<HashMap<i64, Vec<RosterMember>>, Error> {
    let ids = circles
        .map(|id| id.to_string())
        .collect::<Vec<_>>()
        .join(",");
    let (text, ids) = match db.get_database_backend() {
        DbBackend::Sqlite => (&OF_CIRCLES_SQLITE, format!("[{ids}]")),
        _ => (&OF_CIRCLES_POSTGRES, format!("{{{ids}}}")),
    };
    let mut members: HashMap<i64, Vec<RosterMember>> = HashMap::new();
    for row in query(db, text, ids.into()).await? {
        let mut columns = Columns::of(&row);
        let circle_id = columns.next()?;
        members
            .entry(circle_id)
            .or_default()
            .push(member(&mut columns)?);
    }
    for members in members.values_mut() {
        in_order(members);
    }
    Ok(members)
}

async fn query(
    db: &impl ConnectionTrait,
    text: &str,
    value: sea_orm::Value,
) -> Result<Vec<QueryResult>, DbErr> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), text, [value]);
    db.query_all_raw(statement).await
}

fn in_order(members: &mut [RosterMember]) {
    members.sort_unstable_by_key(|member| (member.role, member.joined_at, member.member_id));
}
