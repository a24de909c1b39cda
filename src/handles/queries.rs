//! One statement loads a circle of any size for its handles, and one an agent. As in the roster, they are built
//! once, from the entities' relations.
//!
//! The circle is repeated in the row of each member. Handles need few of its columns, so that a separate row, as
//! in the roster, saves PostgreSQL nothing (267 against 250 microseconds for twenty members).

use std::sync::LazyLock;

use chrono::{NaiveDate, Utc};
use entity::{agent, circle, member, model};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, JoinType, QueryFilter, QueryResult,
    QuerySelect, RelationTrait, Select,
    sea_query::{Expr, ExprTrait, IntoCondition},
};

use super::{
    dto::{CircleHandles, Handle, Lint},
    facts::{AgentFacts, CircleFacts, Facts, MemberFacts, ModelFacts},
    rules,
};
use crate::{
    agents, circles,
    database::Database,
    error::Error,
    rows::{self, Columns, FromRow, Sql},
};

/// A circle by name: a row for each active member, or one row without a member. The row of a member whose agent was
/// deleted has no agent.
static OF_CIRCLE: LazyLock<Sql> = LazyLock::new(|| {
    let active_members = circle::Relation::Member
        .def()
        .on_condition(|_, members| Expr::col((members, member::Column::IsActive)).into_condition());
    let not_deleted = member::Relation::Agent
        .def()
        .on_condition(|_, agents| Expr::col((agents, agent::Column::IsActive)).into_condition());
    let circles = circles::queries::by_name()
        .join(JoinType::LeftJoin, active_members)
        .join(JoinType::LeftJoin, not_deleted);
    let query = rows::select_only::<_, CircleFacts<'_>>(circles);
    let query = with_agents(rows::also_select::<_, MemberFacts<'_>>(query));
    Sql::of(|_| query.clone())
});

/// An agent by its id.
static OF_AGENT: LazyLock<Sql> = LazyLock::new(|| {
    let id = agent::Column::Id.into_expr();
    let agents = agent::Entity::find_not_deleted().filter(id.eq(rows::parameter()));
    let query = with_agents(agents.select_only());
    Sql::of(|_| query.clone())
});

/// Selects the columns of agents, and of the models and providers of agents that have any.
fn with_agents<E: EntityTrait>(agents: Select<E>) -> Select<E> {
    let joined = agents
        .join(JoinType::LeftJoin, agent::Relation::Model.def())
        .join(JoinType::LeftJoin, model::Relation::Provider.def());
    let query = rows::also_select::<_, AgentFacts<'_>>(joined);
    rows::also_select::<_, ModelFacts<'_>>(query)
}

/// The rows of a circle: one for each member, and at least one.
#[derive(Debug)]
pub(super) struct LoadedCircle(Vec<QueryResult>);

/// The row of an agent.
#[derive(Debug)]
pub(super) struct LoadedAgent(QueryResult);

/// Loads a circle.
pub(super) async fn of_circle(
    db: &impl ConnectionTrait,
    name: &str,
) -> Result<LoadedCircle, Error> {
    let rows = OF_CIRCLE.find(db, name).await?;
    if rows.is_empty() {
        return Err(circles::queries::unknown(name));
    }
    Ok(LoadedCircle(rows))
}

/// Loads an agent, outside any circle.
pub(super) async fn of_agent(db: &impl ConnectionTrait, id: i64) -> Result<LoadedAgent, Error> {
    let row = OF_AGENT.find_one(db, id).await?;
    row.map(LoadedAgent)
        .ok_or_else(|| agents::queries::unknown(id))
}

impl LoadedCircle {
    /// The handles of the circle, in the roster's order.
    pub(super) fn resolve(&self) -> Result<CircleHandles<'_>, Error> {
        let (circle, members) = self.facts()?;
        rules::resolve_circle(&circle, &members, today())
    }

    fn facts(&self) -> Result<(CircleFacts<'_>, Vec<Facts<'_>>), DbErr> {
        let circle = CircleFacts::read(&mut Columns::of(&self.0[0]))?;
        let first = CircleFacts::columns().len();
        let mut members = Vec::with_capacity(self.0.len());
        for row in &self.0 {
            let columns = &mut Columns::from(row, first);
            let member = MemberFacts::read_joined(columns)?;
            if let Some(agent) = AgentFacts::read_joined(columns)? {
                members.push(facts(member, agent, columns)?);
            }
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
        let columns = &mut Columns::of(&self.0);
        let facts = facts(None, AgentFacts::read(columns)?, columns)?;
        rules::resolve(&facts, &rules::Additions::default(), today())
    }
}

fn facts<'r>(
    member: Option<MemberFacts<'r>>,
    agent: AgentFacts<'r>,
    columns: &mut Columns<'r>,
) -> Result<Facts<'r>, DbErr> {
    Ok(Facts {
        member,
        agent,
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
    Ok(rules::lint(&circle, &members, today())?)
}

fn today() -> NaiveDate {
    Utc::now().date_naive()
}
