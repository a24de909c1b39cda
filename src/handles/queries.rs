//! One statement loads a circle of any size for its handles, and one an agent. As in the roster, they are built
//! once, from the entities' relations. A second one loads what their agents refer to, if they refer to anything.

use std::sync::LazyLock;

use chrono::{NaiveDate, Utc};
use entity::{agent, member, model};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, JoinType, QueryFilter, QueryResult,
    QuerySelect, RelationTrait, Select, sea_query::ExprTrait,
};

use super::{
    dto::{CircleHandles, Handle, Lint},
    facts::{AgentFacts, CircleFacts, Facts, MemberFacts, ModelFacts},
    related::RelatedRows,
    rules,
};
use crate::{
    agents,
    circles::{CircleRows, CircleSql},
    database::Database,
    error::Error,
    rows::{self, Columns, FromRow, Sql},
};

/// A circle by name, and its active members.
static OF_CIRCLE: LazyLock<CircleSql> = LazyLock::new(|| {
    let columns = [
        MemberFacts::columns(),
        AgentFacts::columns(),
        ModelFacts::columns(),
    ];
    CircleSql::new(&CircleFacts::columns(), &columns.concat(), |members| {
        let agents = members.join(JoinType::LeftJoin, member::Relation::Agent.def());
        with_models(agents.filter(member::Entity::shown(false)))
    })
});

/// An agent by its id.
static OF_AGENT: LazyLock<Sql> = LazyLock::new(|| {
    let id = agent::Column::Id.into_expr();
    let agents = agent::Entity::find_not_deleted().filter(id.eq(rows::parameter()));
    let columns = [AgentFacts::columns(), ModelFacts::columns()].concat();
    let query = rows::select_columns(with_models(agents), &columns);
    Sql::of(|_| query.clone())
});

/// Joins the models and providers of agents that have any.
fn with_models<E: EntityTrait>(agents: Select<E>) -> Select<E> {
    agents
        .join(JoinType::LeftJoin, agent::Relation::Model.def())
        .join(JoinType::LeftJoin, model::Relation::Provider.def())
}

/// The rows of a circle and its active members, and what these refer to.
#[derive(Debug)]
pub(super) struct LoadedCircle(CircleRows, RelatedRows);

/// The row of an agent, and what it refers to.
#[derive(Debug)]
pub(super) struct LoadedAgent(QueryResult, RelatedRows);

/// How often the rows are read, if an agent or a server changes between the two statements.
const ATTEMPTS: usize = 5;

/// Loads a circle.
pub(super) async fn of_circle(
    db: &impl ConnectionTrait,
    name: &str,
) -> Result<LoadedCircle, Error> {
    for _ in 0..ATTEMPTS {
        let mut loaded = LoadedCircle(OF_CIRCLE.find(db, name).await?, RelatedRows::default());
        let (_, members) = loaded.facts()?;
        let agents = || members.iter().map(|facts| &facts.agent);
        let related = RelatedRows::load(db, agents()).await?;
        let is_whole = related.hold(agents())?;
        drop(members);
        loaded.1 = related;
        if is_whole {
            return Ok(loaded);
        }
    }
    Err(changing())
}

/// Loads an agent, outside any circle.
pub(super) async fn of_agent(db: &impl ConnectionTrait, id: i64) -> Result<LoadedAgent, Error> {
    for _ in 0..ATTEMPTS {
        let row = OF_AGENT.find_one(db, id).await?;
        let row = row.ok_or_else(|| agents::queries::unknown(id))?;
        let facts = facts(None, &mut Columns::of(&row))?;
        let related = RelatedRows::load(db, [&facts.agent].into_iter()).await?;
        if related.hold([&facts.agent].into_iter())? {
            return Ok(LoadedAgent(row, related));
        }
    }
    Err(changing())
}

fn changing() -> Error {
    let detail = "MCP servers or models change all the time";
    Error::Contended(DbErr::Custom(detail.to_owned()))
}

impl LoadedCircle {
    /// The handles of the circle, in the roster's order.
    pub(super) fn resolve(&self) -> Result<CircleHandles<'_>, Error> {
        let (circle, members) = self.facts()?;
        rules::resolve_circle(&circle, &members, &self.1.read()?, today())
    }

    fn facts(&self) -> Result<(CircleFacts<'_>, Vec<Facts<'_>>), DbErr> {
        let circle = CircleFacts::read(&mut self.0.circle())?;
        let rows = self.0.members();
        let mut members = Vec::with_capacity(rows.len());
        for mut columns in rows {
            let member = MemberFacts::read(&mut columns)?;
            members.push(facts(Some(member), &mut columns)?);
        }
        members.sort_by_cached_key(|facts| {
            let member = facts.member.as_ref();
            member.map(|member| (member.role, member.joined_at, member.id))
        });
        Ok((circle, members))
    }
}

impl LoadedAgent {
    /// The handle of the agent.
    pub(super) fn resolve(&self) -> Result<Handle<'_>, DbErr> {
        let facts = facts(None, &mut Columns::of(&self.0))?;
        let related = self.1.read()?;
        rules::resolve(&facts, &rules::Additions::default(), &related, today())
    }
}

fn facts<'r>(
    member: Option<MemberFacts<'r>>,
    columns: &mut Columns<'r>,
) -> Result<Facts<'r>, DbErr> {
    Ok(Facts {
        member,
        agent: AgentFacts::read(columns)?,
        model: ModelFacts::read_joined(columns)?,
    })
}

/// The problems of a circle.
///
/// # Errors
/// [`Error::NotFound`] if there is no circle with this name, and errors of the database.
pub async fn lint(database: &Database, name: &str) -> Result<Lint, Error> {
    let rows = of_circle(database.connection(), name).await?;
    let (circle, members) = rows.facts()?;
    Ok(rules::lint(&circle, &members, &rows.1.read()?, today())?)
}

fn today() -> NaiveDate {
    Utc::now().date_naive()
}
