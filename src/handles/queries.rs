//! The statements that handles come from: one for a circle of any size, and one for an agent. As in the
//! roster, the text is built once and rows are decoded by position.

use std::sync::LazyLock;

use chrono::{NaiveDate, Utc};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement, Value};

use super::{
    dto::Lint,
    facts::{AgentFacts, CircleFacts, MemberFacts, ModelFacts},
    resolved::{ResolvedCircle, ResolvedHandle},
    rules,
};
use crate::{
    agents, circles,
    database::Database,
    error::Error,
    rows::{self, Columns, OneAndMany, OneAndManyOnBoth},
};

const MODEL_JOINS: &str =
    "LEFT JOIN models o ON o.id = a.model_id LEFT JOIN providers p ON p.id = o.provider_id";

static OF_CIRCLE: LazyLock<OneAndManyOnBoth> = LazyLock::new(|| {
    let columns = [
        &MemberFacts::COLUMNS[..],
        &AgentFacts::COLUMNS,
        &ModelFacts::COLUMNS,
    ];
    OneAndManyOnBoth::new(
        &CircleFacts::COLUMNS,
        "FROM circles c WHERE c.name = $1 AND c.is_active",
        &columns.concat(),
        &format!(
            "FROM circles c JOIN members m ON m.circle_id = c.id AND m.is_active \
             JOIN agents a ON a.id = m.agent_id {MODEL_JOINS} \
             WHERE c.name = $1 AND c.is_active"
        ),
    )
});

static OF_AGENT: LazyLock<String> = LazyLock::new(|| {
    let columns = [&AgentFacts::COLUMNS[..], &ModelFacts::COLUMNS].concat();
    format!(
        "SELECT {} FROM agents a {MODEL_JOINS} WHERE a.id = $1 AND a.is_active",
        columns.join(", ")
    )
});

/// What the database has of a circle.
#[derive(Debug)]
pub(super) struct CircleRows {
    circle: QueryResult,
    members: Vec<QueryResult>,
    first_of_member: usize,
}

/// What the database has of an agent.
#[derive(Debug)]
pub(super) struct AgentRow(QueryResult);

/// Of a circle, in one statement.
pub(super) async fn of_circle(db: &impl ConnectionTrait, name: &str) -> Result<CircleRows, Error> {
    let OneAndMany {
        text,
        first_of_many,
    } = OF_CIRCLE.on(db.get_database_backend());
    let mut rows = db.query_all_raw(statement(db, text, name)).await?;
    let circle = rows::take_one(&mut rows)?.ok_or_else(|| circles::queries::unknown(name))?;
    Ok(CircleRows {
        circle,
        members: rows,
        first_of_member: *first_of_many,
    })
}

/// Of an agent outside any circle, in one statement.
pub(super) async fn of_agent(db: &impl ConnectionTrait, id: i64) -> Result<AgentRow, Error> {
    let row = db.query_one_raw(statement(db, &OF_AGENT, id)).await?;
    row.map(AgentRow)
        .ok_or_else(|| agents::queries::unknown(id))
}

impl CircleRows {
    /// The handles of the circle.
    pub(super) fn resolve(&self) -> Result<ResolvedCircle<'_>, DbErr> {
        let circle = CircleFacts::read(&self.circle)?;
        let first = self.first_of_member;
        let ordered = self.members.iter();
        let ordered = ordered.map(|row| Ok((MemberFacts::order(row, first)?, row)));
        let mut ordered = ordered.collect::<Result<Vec<_>, DbErr>>()?;
        ordered.sort_unstable_by_key(|(order, _)| *order);
        let members = ordered.into_iter().map(|(_, row)| {
            let mut columns = Columns::from(row, first);
            let member = MemberFacts::read(&mut columns)?;
            Ok((member, AgentFacts::read(&mut columns)?))
        });
        rules::resolve_circle(&circle, members, today())
    }
}

impl AgentRow {
    /// The handle of the agent.
    pub(super) fn resolve(&self) -> Result<ResolvedHandle<'_>, DbErr> {
        let agent = AgentFacts::read(&mut Columns::of(&self.0))?;
        rules::resolve(&agent, None, &rules::Additions::default(), today())
    }
}

/// What is wrong with a circle.
///
/// # Errors
/// No live circle of that name, or what the database reports.
pub async fn lint(database: &Database, name: &str) -> Result<Lint, Error> {
    let rows = of_circle(database.connection(), name).await?;
    Ok(rules::lint(rows.resolve()?))
}

fn statement(db: &impl ConnectionTrait, text: &str, value: impl Into<Value>) -> Statement {
    Statement::from_sql_and_values(db.get_database_backend(), text, [value.into()])
}

fn today() -> NaiveDate {
    Utc::now().date_naive()
}
