//! One statement loads a circle of any size for its handles, and one an agent. As in the roster, they are built
//! once, from the entities' relations. A second one loads what their agents refer to, if they refer to anything.

use std::sync::LazyLock;

use chrono::{NaiveDate, Utc};
use entity::{agent, member, model};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, JoinType, QueryFilter, QuerySelect,
    RelationTrait, Select, sea_query::ExprTrait,
};

use super::{
    dto::Lint,
    facts::{AgentFacts, CircleFacts, Facts, MemberFacts, ModelFacts},
    related::{Related, RelatedRows},
    rules,
};
use crate::{
    agents::{self, versions},
    circles::{CircleRows, CircleSql},
    database::Database,
    error::Error,
    rows::{self, Columns, FromRow, Sql},
    versions::AgentDefinitionRow,
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

/// How often the rows are read, if an agent or a server changes between the two statements.
const ATTEMPTS: usize = 5;

/// Loads a circle, with its members in the roster's order and what they refer to, and resolves it.
pub(super) async fn of_circle<T>(
    db: &impl ConnectionTrait,
    name: &str,
    resolve: impl Fn(&CircleFacts<'_>, &[Facts<'_>], &Related<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    for _ in 0..ATTEMPTS {
        let rows = OF_CIRCLE.find(db, name).await?;
        let members = members_in_order(&rows)?;
        let agents = || members.iter().map(|facts| &facts.agent);
        let related_rows = RelatedRows::load(db, agents()).await?;
        let related = related_rows.read()?;
        if related.hold_all_of(agents())? {
            let circle = CircleFacts::read(&mut rows.circle())?;
            return resolve(&circle, &members, &related);
        }
    }
    Err(changing())
}

/// Room for the JSON of so many handles and their circle; most need no more.
pub(super) fn capacity(handles: usize) -> usize {
    const BYTES_A_HANDLE: usize = 1 << 11;
    BYTES_A_HANDLE * handles.max(1)
}

/// The handles of a circle in JSON.
pub(crate) async fn to_json(db: &impl ConnectionTrait, name: &str) -> Result<Vec<u8>, Error> {
    of_circle(db, name, |circle, members, related| {
        let handles = rules::resolve_circle(circle, members, related, today())?;
        Ok(rows::to_json(&handles, capacity(members.len()))?)
    })
    .await
}

/// Loads an agent, outside any circle, with what it refers to, and resolves it.
pub(super) async fn of_agent<T>(
    db: &impl ConnectionTrait,
    id: i64,
    resolve: impl Fn(&Facts<'_>, &Related<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    for _ in 0..ATTEMPTS {
        let row = OF_AGENT.find_one(db, id).await?;
        let row = row.ok_or_else(|| agents::queries::unknown(id))?;
        let facts = facts(None, &mut Columns::of(&row))?;
        let related_rows = RelatedRows::load(db, [&facts.agent].into_iter()).await?;
        let related = related_rows.read()?;
        if related.hold_all_of([&facts.agent].into_iter())? {
            return resolve(&facts, &related);
        }
    }
    Err(changing())
}

/// Loads a version of an agent, and what it refers to as that is now, and resolves it.
pub(super) async fn of_version<T>(
    db: &impl ConnectionTrait,
    id: i64,
    number: i64,
    resolve: impl Fn(&Facts<'_>, &Related<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let (row, status) = versions::queries::with_status(db, id, number).await?;
    let definition = AgentDefinitionRow::read(&row.definition)?;
    let agent = AgentFacts::of_version(id, number, status, &definition)?;
    let related_rows = RelatedRows::of_version(db, &agent, definition.model_id).await?;
    let related = related_rows.read()?;
    let model = definition.model_id.map(|id| related.models.get(&id));
    if matches!(model, Some(None)) || !related.hold_all_of([&agent].into_iter())? {
        let detail = format!(
            "version {number} of agent {id} refers to a model or an MCP server that no longer exists"
        );
        return Err(Error::conflict(versions::queries::REFERENCE_GONE, detail));
    }
    let model = model.flatten().cloned();
    let member = None;
    resolve(
        &Facts {
            member,
            agent,
            model,
        },
        &related,
    )
}

fn changing() -> Error {
    let detail = "MCP servers or models change all the time";
    Error::Contended(DbErr::Custom(detail.to_owned()))
}

fn members_in_order(rows: &CircleRows) -> Result<Vec<Facts<'_>>, DbErr> {
    let rows = rows.members();
    let mut members = Vec::with_capacity(rows.len());
    for mut columns in rows {
        let member = MemberFacts::read(&mut columns)?;
        members.push(facts(Some(member), &mut columns)?);
    }
    members.sort_by_cached_key(|facts| {
        let member = facts.member.as_ref();
        member.map(|member| (member.role, member.joined_at, member.id))
    });
    Ok(members)
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
    of_circle(database.connection(), name, |circle, members, related| {
        Ok(rules::lint(circle, members, related, today())?)
    })
    .await
}

pub(super) fn today() -> NaiveDate {
    Utc::now().date_naive()
}
