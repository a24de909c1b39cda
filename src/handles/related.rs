//! What handles show besides the rows of agents: the MCP servers of their tools, and their fallback models. One statement
//! loads both for all agents that have any.

use std::{collections::HashMap, sync::LazyLock};

use entity::{agent_fallback, agent_server, mcp_server, model};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, JoinType, QueryFilter,
    QueryResult, QuerySelect, QueryTrait, RelationTrait, Select,
    sea_query::{Expr, SimpleExpr, UnionType},
};

use super::{
    dto::HandleServer,
    facts::{AgentFacts, ModelFacts},
};
use crate::{
    rows::{self, Columns, FromRow, Sql},
    search,
};

/// A row for each server, and one for each model, for the ids of agents.
static RELATED: LazyLock<Sql> = LazyLock::new(|| {
    Sql::of(|backend| {
        let servers = agent_server::Entity::find()
            .select_only()
            .column(agent_server::Column::McpServerId)
            .filter(is_of_agents::<agent_server::Entity>(
                backend,
                agent_server::Column::AgentId,
            ));
        let servers = mcp_server::Column::Id.in_subquery(servers.into_query());
        let models = agent_fallback::Entity::find()
            .select_only()
            .column(agent_fallback::Column::ModelId)
            .filter(is_of_agents::<agent_fallback::Entity>(
                backend,
                agent_fallback::Column::AgentId,
            ));
        both(servers, model::Column::Id.in_subquery(models.into_query()))
    })
});

/// A row for each of these servers, and one for each of these models.
fn both(servers: SimpleExpr, models: SimpleExpr) -> Select<mcp_server::Entity> {
    let nulls = |columns: &[String]| vec!["NULL".to_owned(); columns.len()];
    let of_server = HandleServer::columns();
    let of_model = [
        vec![rows::qualified::<model::Entity>(model::Column::Id)],
        ModelFacts::columns(),
    ];
    let of_model = of_model.concat();
    let models = model::Entity::find()
        .join(JoinType::InnerJoin, model::Relation::Provider.def())
        .filter(models);
    let models = rows::select_columns(models, &[nulls(&of_server), of_model.clone()].concat());
    let servers = mcp_server::Entity::find().filter(servers);
    let mut both = rows::select_columns(servers, &[of_server, nulls(&of_model)].concat());
    QuerySelect::query(&mut both).union(UnionType::All, models.into_query());
    both
}

/// One of the ids in the statement's parameter, which is a [`search::list_of_ids`].
fn is_of_agents<E: EntityTrait>(backend: DbBackend, column: E::Column) -> Expr {
    let column = rows::qualified::<E>(column);
    Expr::cust(match backend {
        DbBackend::Sqlite => format!("{column} IN (SELECT value FROM json_each($1))"),
        _ => format!("{column} = ANY(CAST($1 AS bigint[]))"),
    })
}

/// The rows of servers and models.
#[derive(Debug, Default)]
pub(super) struct RelatedRows(Vec<QueryResult>);

/// The servers by name, and the models by id.
#[derive(Debug, Default)]
pub(super) struct Related<'r> {
    pub(super) servers: HashMap<String, HandleServer<'r>>,
    pub(super) models: HashMap<i64, ModelFacts<'r>>,
}

impl RelatedRows {
    /// Loads what these agents refer to, if any of them refers to anything.
    pub(super) async fn load<'a>(
        db: &impl ConnectionTrait,
        agents: impl Iterator<Item = &'a AgentFacts<'a>>,
    ) -> Result<Self, DbErr> {
        let ids: Vec<i64> = agents
            .filter(|agent| agent.has_related())
            .map(|agent| agent.id)
            .collect();
        if ids.is_empty() {
            return Ok(Self::default());
        }
        let ids = search::list_of_ids(db.get_database_backend(), ids);
        RELATED.find(db, ids).await.map(Self)
    }

    /// Loads the servers of an agent's tools by name, its fallback models, and its model.
    pub(super) async fn of_version(
        db: &impl ConnectionTrait,
        agent: &AgentFacts<'_>,
        model_id: Option<i64>,
    ) -> Result<Self, DbErr> {
        let tools = agent.tools()?;
        let servers = tools.iter().filter_map(|tool| tool.server.as_deref());
        let models = agent.fallbacks()?.into_iter().chain(model_id);
        let query = both(
            mcp_server::Column::Name.is_in(servers),
            model::Column::Id.is_in(models),
        );
        db.query_all(&query.into_query()).await.map(Self)
    }

    pub(super) fn read(&self) -> Result<Related<'_>, DbErr> {
        let mut related = Related::default();
        if self.0.is_empty() {
            return Ok(related);
        }
        let first_of_model = HandleServer::columns().len();
        for row in &self.0 {
            if let Some(server) = HandleServer::read_joined(&mut Columns::of(row))? {
                related.servers.insert(server.name.clone().into(), server);
            } else {
                let columns = &mut Columns::from(row, first_of_model);
                let id = columns.next()?;
                related.models.insert(id, ModelFacts::read(columns)?);
            }
        }
        Ok(related)
    }
}

impl Related<'_> {
    /// Whether they are all that these agents refer to. An agent or a server may have changed since the agents were read.
    pub(super) fn hold_all_of<'a>(
        &self,
        agents: impl Iterator<Item = &'a AgentFacts<'a>>,
    ) -> Result<bool, DbErr> {
        for agent in agents.filter(|agent| agent.has_related()) {
            if !self.holds(agent)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn holds(&self, agent: &AgentFacts<'_>) -> Result<bool, DbErr> {
        let tools = agent.tools()?;
        let mut servers = tools.iter().filter_map(|tool| tool.server.as_deref());
        Ok(servers.all(|name| self.servers.contains_key(name))
            && agent
                .fallbacks()?
                .iter()
                .all(|id| self.models.contains_key(id)))
    }
}
