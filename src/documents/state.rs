//! The rows that documents describe.

use std::collections::HashMap;

use entity::{agent, agent_server, circle, document_owner, mcp_server, member, model, provider};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, sea_query::ExprTrait,
};

use super::{
    described::Described,
    named::{NamedRows, owned_ids},
    shown::ReferenceNames,
};
use crate::{circles, error::Error, search, write::Resource};

/// Rows of one state of the registry.
#[derive(Debug, Default)]
pub(crate) struct RegistryState {
    pub(crate) providers: Vec<provider::Model>,
    pub(crate) models: Vec<model::Model>,
    pub(crate) mcp_servers: Vec<mcp_server::Model>,
    pub(crate) agents: Vec<agent::Model>,
    pub(crate) circles: Vec<circle::Model>,
    /// In the order of rosters.
    pub(crate) members: Vec<member::Model>,
    pub(crate) names: ReferenceNames,
    owners: HashMap<(String, i64), String>,
}

/// What is exported: all that there is, or parts.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExportSelection {
    /// Only these circles, with all that their members are built from.
    pub(crate) circles: Vec<String>,
    /// Only what this owner's documents describe.
    pub(crate) owner: Option<String>,
}

impl ExportSelection {
    fn is_partial(&self) -> bool {
        !self.circles.is_empty() || self.owner.is_some()
    }

    /// The ids of what is selected by its owner alone, by kind.
    async fn owned(&self, db: &impl ConnectionTrait) -> Result<HashMap<String, Vec<i64>>, Error> {
        let owner = self.owner.clone().filter(|_| self.circles.is_empty());
        owned_ids(db, owner.iter()).await
    }
}

impl RegistryState {
    /// What is selected, and all that it refers to.
    pub(crate) async fn load(
        db: &impl ConnectionTrait,
        selection: &ExportSelection,
    ) -> Result<Self, Error> {
        let backend = db.get_database_backend();
        let owned = selection.owned(db).await?;
        let ids = |resource: Resource| owned.get(resource.as_str()).cloned().unwrap_or_default();
        let parts = selection.is_partial().then_some(());
        let circles = circle::Entity::find_not_deleted()
            .apply_if(parts, |query, ()| {
                let name = circle::Column::Name.is_in(&selection.circles);
                let id = search::among(backend, circle::Column::Id, ids(Resource::Circle));
                query.filter(name.or(id))
            })
            .all(db)
            .await?;
        let mut selected = selection.circles.iter();
        let is_missing = |name: &&String| !circles.iter().any(|row| row.name == **name);
        if let Some(name) = selected.find(is_missing) {
            return Err(circles::queries::unknown(name));
        }
        let of_circles = circles.iter().map(|row| row.id);
        let members = member::Entity::find()
            .inner_join(agent::Entity)
            .filter(search::among(backend, member::Column::CircleId, of_circles))
            .filter(member::Entity::shown(false))
            .all(db)
            .await?;
        let referred = members.iter().map(|row| row.agent_id);
        let agents = agent::Entity::find_not_deleted()
            .apply_if(parts, |query, ()| {
                let wanted = ids(Resource::Agent).into_iter().chain(referred);
                query.filter(search::among(backend, agent::Column::Id, wanted))
            })
            .all(db)
            .await?;
        let referred = agents.iter().flat_map(models_of);
        let models = model::Entity::find()
            .apply_if(parts, |query, ()| {
                let wanted = ids(Resource::Model).into_iter().chain(referred);
                query.filter(search::among(backend, model::Column::Id, wanted))
            })
            .all(db)
            .await?;
        let referred = models.iter().map(|row| row.provider_id);
        let providers = provider::Entity::find()
            .apply_if(parts, |query, ()| {
                let wanted = ids(Resource::Provider).into_iter().chain(referred);
                query.filter(search::among(backend, provider::Column::Id, wanted))
            })
            .all(db)
            .await?;
        let of_agents = agents.iter().map(|row| row.id);
        let mcp_servers = mcp_server::Entity::find()
            .apply_if(parts, |query, ()| {
                let users = agent_server::Entity::find()
                    .select_only()
                    .column(agent_server::Column::McpServerId)
                    .filter(search::among(
                        backend,
                        agent_server::Column::AgentId,
                        of_agents,
                    ));
                let used = mcp_server::Column::Id.in_subquery(users.into_query());
                let id = search::among(backend, mcp_server::Column::Id, ids(Resource::McpServer));
                query.filter(used.or(id))
            })
            .all(db)
            .await?;
        let mut state = Self {
            providers,
            models,
            mcp_servers,
            agents,
            circles,
            members,
            ..Self::default()
        };
        state.name_all();
        if let Some(owner) = &selection.owner {
            let owned = Condition::all().add(document_owner::Column::Owner.eq(owner));
            state.owners = owners(db, owned).await?;
        }
        Ok(state)
    }

    /// The rows that documents describe or refer to, and what their owners have.
    pub(crate) async fn of(db: &impl ConnectionTrait, named: &NamedRows) -> Result<Self, Error> {
        let backend = db.get_database_backend();
        let owned = named.owned(db).await?;
        let ids = |resource: Resource| owned.get(resource.as_str()).cloned().unwrap_or_default();
        let circles = circle::Entity::find_not_deleted()
            .filter(named.circles(backend, ids(Resource::Circle)))
            .all(db)
            .await?;
        let of_circles = search::among(
            backend,
            member::Column::CircleId,
            circles.iter().map(|row| row.id),
        );
        let their_agents = member::Entity::find_active()
            .select_only()
            .column(member::Column::AgentId)
            .filter(of_circles.clone());
        let agents = named.agents(backend, ids(Resource::Agent));
        let agents = agents.add(agent::Column::Id.in_subquery(their_agents.into_query()));
        let agents = agent::Entity::find_not_deleted()
            .filter(agents)
            .all(db)
            .await?;
        let of_agents = agents.iter().map(|row| row.id);
        let of_agents = search::among(backend, member::Column::AgentId, of_agents);
        let members = member::Entity::find()
            .filter(of_circles)
            .filter(of_agents)
            .all(db)
            .await?;
        let referred = agents.iter().flat_map(models_of);
        let models = ids(Resource::Model).into_iter().chain(referred);
        let models = model::Entity::find()
            .filter(named.models(backend, models))
            .all(db)
            .await?;
        let referred = models.iter().map(|row| row.provider_id);
        let providers = ids(Resource::Provider).into_iter().chain(referred);
        let providers = provider::Entity::find()
            .filter(named.providers(backend, providers))
            .all(db)
            .await?;
        let mcp_servers = mcp_server::Entity::find()
            .filter(named.mcp_servers(backend, ids(Resource::McpServer)))
            .all(db)
            .await?;
        let mut state = Self {
            providers,
            models,
            mcp_servers,
            agents,
            circles,
            members,
            ..Self::default()
        };
        state.name_all();
        state.owners = owners(db, state.any_of_these(backend)).await?;
        Ok(state)
    }

    /// The owners of these rows.
    fn any_of_these(&self, backend: DbBackend) -> Condition {
        let of = |resource: Resource, ids: Vec<i64>| {
            document_owner::Column::Resource
                .eq(resource.as_str())
                .and(search::among(
                    backend,
                    document_owner::Column::ResourceId,
                    ids,
                ))
        };
        Condition::any()
            .add(of(
                Resource::Provider,
                ids::<provider::Entity>(&self.providers),
            ))
            .add(of(Resource::Model, ids::<model::Entity>(&self.models)))
            .add(of(
                Resource::McpServer,
                ids::<mcp_server::Entity>(&self.mcp_servers),
            ))
            .add(of(Resource::Agent, ids::<agent::Entity>(&self.agents)))
            .add(of(Resource::Circle, ids::<circle::Entity>(&self.circles)))
    }

    /// Names what others refer to, and puts members in the order of rosters.
    fn name_all(&mut self) {
        self.members
            .sort_unstable_by_key(|row| (row.role, row.joined_at, row.id));
        let names = &mut self.names;
        name_rows::<provider::Entity>(names, &self.providers);
        name_rows::<model::Entity>(names, &self.models);
        name_rows::<agent::Entity>(names, &self.agents);
    }

    pub(crate) fn owner(&self, resource: Resource, id: i64) -> Option<&str> {
        let key = (resource.as_str().to_owned(), id);
        self.owners.get(&key).map(String::as_str)
    }
}

fn ids<E: Described>(rows: &[E::Model]) -> Vec<i64> {
    rows.iter().map(E::id).collect()
}

fn name_rows<E: Described>(names: &mut ReferenceNames, rows: &[E::Model]) {
    for row in rows {
        let name = E::name(row, names);
        names.insert(E::RESOURCE, E::id(row), name);
    }
}

/// The models that an agent refers to.
pub(super) fn models_of(agent: &agent::Model) -> Vec<i64> {
    let fallbacks = agent.fallback_model_ids.0.iter().copied();
    agent.model_id.into_iter().chain(fallbacks).collect()
}

pub(super) async fn owners(
    db: &impl ConnectionTrait,
    which: Condition,
) -> Result<HashMap<(String, i64), String>, Error> {
    let rows = document_owner::Entity::find()
        .filter(which)
        .order_by_asc(document_owner::Column::ResourceId)
        .all(db)
        .await?;
    let owner = |row: document_owner::Model| ((row.resource, row.resource_id), row.owner);
    Ok(rows.into_iter().map(owner).collect())
}
