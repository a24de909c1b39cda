//! Deletions of a plan that others are in the way of.

use std::{
    cmp,
    collections::{BTreeMap, btree_map::Entry},
    mem,
};

use entity::{agent, agent_fallback, agent_server, model};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter,
    QuerySelect, Select, sea_query::ExprTrait,
};

use super::{
    described::Described,
    dto::{BlockedDeletion, DocumentResource},
    plan::RegistryPlan,
    shown::ReferenceNames,
    table::TablePlan,
};
use crate::{error::Error, search, write::Resource};

/// Those who use something, together.
#[derive(FromQueryResult)]
struct Users {
    used_id: i64,
    users: i64,
    used_by: String,
}

/// The deletions that fail because something uses the row that no document describes, or documents of another owner. Reads
/// nothing if nothing is deleted that can be in use.
pub(super) async fn blocked_deletions(
    db: &impl ConnectionTrait,
    plan: &RegistryPlan,
) -> Result<Vec<BlockedDeletion>, Error> {
    let backend = db.get_database_backend();

    let models = Deleted::of(&plan.models, &plan.names);
    let running = of_agents(agent::Entity::find(), backend, plan);
    let running = models.users(db, running, agent::Column::ModelId).await?;
    let fallbacks = agent_fallback::Entity::find().inner_join(agent::Entity);
    let fallbacks = of_agents(fallbacks, backend, plan);
    let falling_back = models
        .users(db, fallbacks, agent_fallback::Column::ModelId)
        .await?;

    let servers = Deleted::of(&plan.mcp_servers, &plan.names);
    let tools = agent_server::Entity::find().inner_join(agent::Entity);
    let tools = of_agents(tools, backend, plan);
    let with_tools = servers
        .users(db, tools, agent_server::Column::McpServerId)
        .await?;

    let providers = Deleted::of(&plan.providers, &plan.names);
    let gone = plan.models.deleted.iter().map(|row| row.id);
    let served = model::Entity::find()
        .select_only()
        .column_as(model::Column::Id.count(), "users")
        .column_as(model::Column::ModelName.min(), "used_by")
        .filter(search::among(backend, model::Column::Id, gone).not());
    let served = providers
        .users(db, served, model::Column::ProviderId)
        .await?;

    // No agent falls back on the model that it runs on, so none is counted twice.
    let mut blocked = models.used(running.into_iter().chain(falling_back));
    blocked.extend(servers.used(with_tools));
    blocked.extend(providers.used(served));
    Ok(blocked)
}

/// Of the agents, those that the plan leaves as they are. What documents say of the others refers to nothing that is deleted.
fn of_agents<E: EntityTrait>(
    query: Select<E>,
    backend: DbBackend,
    plan: &RegistryPlan,
) -> Select<E> {
    let changed = plan.agents.changed.iter().map(|(before, _)| before.id);
    let deleted = plan.agents.deleted.iter().map(|row| row.id);
    query
        .select_only()
        .column_as(agent::Column::Id.count(), "users")
        .column_as(agent::Column::Name.min(), "used_by")
        .filter(agent::Entity::not_deleted())
        .filter(search::among(backend, agent::Column::Id, changed.chain(deleted)).not())
}

/// The names of the rows of one table that are deleted, by their ids.
struct Deleted {
    resource: Resource,
    names: BTreeMap<i64, String>,
}

impl Deleted {
    fn of<E: Described>(table: &TablePlan<E>, names: &ReferenceNames) -> Self {
        let rows = table.deleted.iter();
        Self {
            resource: E::RESOURCE,
            names: rows.map(|row| (E::id(row), E::name(row, names))).collect(),
        }
    }

    /// Who uses the rows, of those that a query finds: together for each value of this column.
    async fn users<E: EntityTrait, C: ColumnTrait>(
        &self,
        db: &impl ConnectionTrait,
        query: Select<E>,
        used: C,
    ) -> Result<Vec<Users>, Error> {
        if self.names.is_empty() {
            return Ok(Vec::new());
        }
        let ids = self.names.keys().copied();
        let users = query
            .column_as(used, "used_id")
            .filter(search::among(db.get_database_backend(), used, ids))
            .group_by(used)
            .into_model()
            .all(db)
            .await?;
        Ok(users)
    }

    /// Those that are used, by their names.
    fn used(&self, users: impl IntoIterator<Item = Users>) -> Vec<BlockedDeletion> {
        let mut used: BTreeMap<&str, Users> = BTreeMap::new();
        for found in users {
            let name = self.names.get(&found.used_id).map_or("", String::as_str);
            match used.entry(name) {
                Entry::Vacant(entry) => {
                    entry.insert(found);
                }
                Entry::Occupied(mut entry) => {
                    let known = entry.get_mut();
                    known.users += found.users;
                    known.used_by = cmp::min(found.used_by, mem::take(&mut known.used_by));
                }
            }
        }
        let blocked = used.into_iter().map(|(name, users)| BlockedDeletion {
            resource: DocumentResource::of(self.resource),
            name: name.to_owned(),
            used_by: users.used_by,
            users: users.users,
        });
        blocked.collect()
    }
}
