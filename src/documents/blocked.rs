//! Deletions of a plan that others are in the way of.

use std::{
    cmp,
    collections::{BTreeMap, btree_map::Entry},
    mem,
};

use entity::{agent, agent_fallback, agent_server, model};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter,
    QuerySelect, Select,
    sea_query::{ExprTrait, SimpleExpr},
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
    let mut blocked = Vec::new();
    let deleted = Deleted::of(&plan.models, &plan.names);
    if !deleted.is_empty() {
        let running = of_agents(agent::Entity::find(), backend, plan)
            .column_as(agent::Column::ModelId, "used_id")
            .filter(deleted.contain(backend, agent::Column::ModelId))
            .group_by(agent::Column::ModelId)
            .into_model::<Users>()
            .all(db)
            .await?;
        let falling_back = agent_fallback::Entity::find().inner_join(agent::Entity);
        let falling_back = of_agents(falling_back, backend, plan)
            .column_as(agent_fallback::Column::ModelId, "used_id")
            .filter(deleted.contain(backend, agent_fallback::Column::ModelId))
            .group_by(agent_fallback::Column::ModelId)
            .into_model::<Users>()
            .all(db)
            .await?;
        // No agent falls back on the model that it runs on, so none is counted twice.
        blocked.extend(deleted.used(running.into_iter().chain(falling_back)));
    }
    let deleted = Deleted::of(&plan.mcp_servers, &plan.names);
    if !deleted.is_empty() {
        let with_tools = agent_server::Entity::find().inner_join(agent::Entity);
        let with_tools = of_agents(with_tools, backend, plan)
            .column_as(agent_server::Column::McpServerId, "used_id")
            .filter(deleted.contain(backend, agent_server::Column::McpServerId))
            .group_by(agent_server::Column::McpServerId)
            .into_model::<Users>()
            .all(db)
            .await?;
        blocked.extend(deleted.used(with_tools));
    }
    let deleted = Deleted::of(&plan.providers, &plan.names);
    if !deleted.is_empty() {
        let gone = plan.models.deleted.iter().map(|row| row.id);
        let models = model::Entity::find()
            .select_only()
            .column_as(model::Column::ProviderId, "used_id")
            .column_as(model::Column::Id.count(), "users")
            .column_as(model::Column::ModelName.min(), "used_by")
            .filter(deleted.contain(backend, model::Column::ProviderId))
            .filter(search::among(backend, model::Column::Id, gone).not())
            .group_by(model::Column::ProviderId)
            .into_model::<Users>()
            .all(db)
            .await?;
        blocked.extend(deleted.used(models));
    }
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

    fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn contain<C: ColumnTrait>(&self, backend: DbBackend, column: C) -> SimpleExpr {
        search::among(backend, column, self.names.keys().copied())
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
