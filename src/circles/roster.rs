//! The roster: what the service exists for.
//!
//! A circle with its members, their agents, models and providers is one statement, whatever the
//! number of members; a page of circles with their members is one more than the page. The text of
//! the statements is built once, the same for both databases, and members are never decoded: what
//! the driver received is what the answer is written from. (SeaORM's loaders took four times as
//! long.) A test compares the answer with a load member by member.
//!
//! The circle is a row of its own, before its members: repeated in each of their rows, as a join has
//! it, it cost PostgreSQL a fifth more. The joins are flat, because SQLite materialises a join in
//! parentheses, at seventy times the cost. JSON columns are read as text and pass through unparsed.

use std::{collections::HashMap, sync::LazyLock};

use chrono::{DateTime, Utc};
use entity::values::MemberRole;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};

use super::{
    dto::{Circle, RosterMember},
    queries::{State, unknown},
};
use crate::{
    error::Error,
    rows::{self, Columns, Field, JsonText, OneAndManyOnBoth},
    search,
};

/// The circle's fields, and its revision, which is not shown.
static CIRCLE_COLUMNS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let mut columns = Field::columns(&Circle::FIELDS);
    columns.push("circles.revision");
    columns
});

/// About so long is a member; a vector that has to grow copies what is in it.
const BYTES_A_MEMBER: usize = 1 << 11;

/// What a roster is ordered by.
fn place(row: &QueryResult, first: usize) -> Result<(MemberRole, DateTime<Utc>, i64), DbErr> {
    let mut column = Columns::from(row, first);
    let member_id = column.next()?;
    column.skip(); // the agent's id
    let role = column.next()?;
    column.skip(); // whether it is active
    Ok((role, column.next()?, member_id))
}

/// Members in the roster's order.
#[derive(Debug, Default)]
pub(crate) struct Members {
    rows: Vec<QueryResult>,
    /// Where their columns begin.
    first: usize,
}

impl Members {
    fn in_order(rows: Vec<QueryResult>, first: usize) -> Result<Self, DbErr> {
        let placed = rows.into_iter().map(|row| Ok((place(&row, first)?, row)));
        let mut placed = placed.collect::<Result<Vec<_>, DbErr>>()?;
        placed.sort_unstable_by_key(|(place, _)| *place);
        Ok(Self {
            rows: placed.into_iter().map(|(_, row)| row).collect(),
            first,
        })
    }

    /// As a list of [`RosterMember`]s.
    pub(crate) fn write(&self, json: &mut JsonText) -> Result<(), DbErr> {
        json.list(&self.rows, |json, row| {
            json.object(row, self.first, &RosterMember::FIELDS)
        })
    }
}

const MEMBER_JOINS: &str = "LEFT JOIN agents a ON a.id = m.agent_id \
    LEFT JOIN models o ON o.id = a.model_id \
    LEFT JOIN providers p ON p.id = o.provider_id";

static ACTIVE: LazyLock<OneAndManyOnBoth> = LazyLock::new(|| of_name("AND m.is_active"));
static WITH_INACTIVE: LazyLock<OneAndManyOnBoth> = LazyLock::new(|| of_name(""));

fn of_name(which: &str) -> OneAndManyOnBoth {
    OneAndManyOnBoth::new(
        &CIRCLE_COLUMNS,
        "FROM circles WHERE circles.name = $1 AND circles.is_active",
        &Field::columns(&RosterMember::FIELDS),
        &format!(
            "FROM circles JOIN members m ON m.circle_id = circles.id {which} {MEMBER_JOINS} \
             WHERE circles.name = $1 AND circles.is_active"
        ),
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
        Field::columns(&RosterMember::FIELDS).join(", ")
    )
}

/// The circle of that name with its members as a [`Roster`](super::dto::Roster), and its state, in one
/// statement.
pub(crate) async fn get(
    db: &impl ConnectionTrait,
    name: &str,
    include_inactive: bool,
) -> Result<(Vec<u8>, State), Error> {
    let statement = if include_inactive {
        &WITH_INACTIVE
    } else {
        &ACTIVE
    };
    let statement = statement.on(db.get_database_backend());
    let mut rows = query(db, &statement.text, name.into()).await?;
    let circle = rows::take_one(&mut rows)?.ok_or_else(|| unknown(name))?;
    let members = Members::in_order(rows, statement.first_of_many)?;
    let state = State {
        id: circle.try_get_by_index(1)?,
        revision: circle.try_get_by_index(1 + Circle::FIELDS.len())?,
    };
    let mut json = JsonText::with_capacity(BYTES_A_MEMBER * (members.rows.len() + 1));
    json.fields(&circle, 1, &Circle::FIELDS)?;
    json.push(",\"members\":");
    members.write(&mut json)?;
    json.push("}");
    Ok((json.into_bytes(), state))
}

/// The active members of these circles by circle, in one statement.
pub(crate) async fn members_of(
    db: &impl ConnectionTrait,
    circles: &[i64],
) -> Result<HashMap<i64, Members>, Error> {
    let backend = db.get_database_backend();
    let text = match backend {
        DbBackend::Sqlite => &OF_CIRCLES_SQLITE,
        _ => &OF_CIRCLES_POSTGRES,
    };
    let ids = search::list_of_ids(backend, circles.iter().copied());
    let mut rows: HashMap<i64, Vec<QueryResult>> = HashMap::new();
    for row in query(db, text, ids.into()).await? {
        rows.entry(row.try_get_by_index(0)?).or_default().push(row);
    }
    let members = rows
        .into_iter()
        .map(|(circle_id, rows)| Ok((circle_id, Members::in_order(rows, 1)?)));
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
