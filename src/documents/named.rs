//! Which rows documents describe, or refer to, by name.

use std::collections::{BTreeSet, HashMap};

use entity::{agent, circle, document_owner, mcp_server, model, provider, revision::Versioned};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, IntoSimpleExpr, QueryFilter,
    QueryOrder, QuerySelect,
    sea_query::{Expr, LockType},
};
use serde_json::Value;

use super::dto::DocumentSet;
use crate::{error::Error, search, write::Resource};

/// Names, by the kind of what they name.
#[derive(Debug, Default)]
pub(crate) struct NamedRows {
    owners: BTreeSet<String>,
    /// In lower case.
    providers: BTreeSet<String>,
    /// Without their providers.
    models: BTreeSet<String>,
    mcp_servers: BTreeSet<String>,
    /// Names and external ids.
    agents: BTreeSet<String>,
    circles: BTreeSet<String>,
}

impl NamedRows {
    pub(crate) fn of(set: &DocumentSet) -> Self {
        let mut rows = Self::default();
        for document in &set.documents {
            rows.owners.extend(document.owner.clone());
            let names = document.providers.iter().filter_map(|it| it.text("name"));
            rows.providers.extend(names.map(str::to_ascii_lowercase));
            for entry in &document.models {
                let provider = entry.text("provider").unwrap_or_default();
                rows.providers.insert(provider.to_ascii_lowercase());
                let name = entry.text("model_name").unwrap_or_default();
                rows.models.insert(name.to_owned());
            }
            let names = document.mcp_servers.iter().filter_map(|it| it.text("name"));
            rows.mcp_servers.extend(names.map(str::to_owned));
            for entry in &document.agents {
                let names = ["name", "external_id"].map(|field| entry.text(field));
                rows.agents
                    .extend(names.into_iter().flatten().map(str::to_owned));
                let models = texts_in(entry.fields.get("fallback_models"));
                for model in models.into_iter().chain(entry.text("model")) {
                    rows.refer_to_model(model);
                }
                let tools = entry.fields.get("tools").and_then(Value::as_array);
                let servers = tools
                    .into_iter()
                    .flatten()
                    .filter_map(|tool| tool["server"].as_str());
                rows.mcp_servers.extend(servers.map(str::to_owned));
            }
            for entry in &document.circles {
                rows.circles.extend(entry.text("name").map(str::to_owned));
                let members = entry.fields.get("members").and_then(Value::as_array);
                let agents = members
                    .into_iter()
                    .flatten()
                    .filter_map(|it| it["agent"].as_str());
                rows.agents.extend(agents.map(str::to_owned));
            }
        }
        rows
    }

    fn refer_to_model(&mut self, name: &str) {
        let (provider, model) = name.split_once('/').unwrap_or_default();
        self.providers.insert(provider.to_ascii_lowercase());
        self.models.insert(model.to_owned());
    }

    /// The ids of what the documents' owners have, by kind.
    pub(super) async fn owned(
        &self,
        db: &impl ConnectionTrait,
    ) -> Result<HashMap<String, Vec<i64>>, Error> {
        owned_ids(db, &self.owners).await
    }

    pub(super) fn circles(&self, backend: DbBackend, ids: Vec<i64>) -> Condition {
        let name = circle::Column::Name.into_simple_expr();
        Condition::any()
            .add(search::among_texts(backend, name, &self.circles))
            .add(search::among(backend, circle::Column::Id, ids))
    }

    pub(super) fn agents(&self, backend: DbBackend, ids: Vec<i64>) -> Condition {
        let name = agent::Column::Name.into_simple_expr();
        let external_id = agent::Column::ExternalId.into_simple_expr();
        let named = Condition::all()
            .add(agent::Column::ExternalId.is_null())
            .add(search::among_texts(backend, name, &self.agents));
        Condition::any()
            .add(named)
            .add(search::among_texts(backend, external_id, &self.agents))
            .add(search::among(backend, agent::Column::Id, ids))
    }

    pub(super) fn models(
        &self,
        backend: DbBackend,
        ids: impl IntoIterator<Item = i64>,
    ) -> Condition {
        let name = model::Column::ModelName.into_simple_expr();
        Condition::any()
            .add(search::among_texts(backend, name, &self.models))
            .add(search::among(backend, model::Column::Id, ids))
    }

    pub(super) fn providers(
        &self,
        backend: DbBackend,
        ids: impl IntoIterator<Item = i64>,
    ) -> Condition {
        // As the unique index has it.
        let folded = match backend {
            DbBackend::Sqlite => "lower(name)",
            _ => r#"lower(name COLLATE "C")"#,
        };
        Condition::any()
            .add(search::among_texts(
                backend,
                Expr::cust(folded),
                &self.providers,
            ))
            .add(search::among(backend, provider::Column::Id, ids))
    }

    pub(super) fn mcp_servers(&self, backend: DbBackend, ids: Vec<i64>) -> Condition {
        let name = mcp_server::Column::Name.into_simple_expr();
        Condition::any()
            .add(search::among_texts(backend, name, &self.mcp_servers))
            .add(search::among(backend, mcp_server::Column::Id, ids))
    }

    /// Locks what may be changed until the transaction ends, agents before circles as everywhere. SQLite has one writer.
    pub(super) async fn lock(&self, db: &impl ConnectionTrait) -> Result<(), Error> {
        let backend = db.get_database_backend();
        if backend == DbBackend::Sqlite {
            return Ok(());
        }
        let owned = self.owned(db).await?;
        let ids = |resource: Resource| owned.get(resource.as_str()).cloned().unwrap_or_default();
        let providers = self.providers(backend, ids(Resource::Provider));
        lock_rows::<provider::Entity>(db, providers, LockType::NoKeyUpdate).await?;
        let models = self.models(backend, ids(Resource::Model));
        lock_rows::<model::Entity>(db, models, LockType::NoKeyUpdate).await?;
        let mcp_servers = self.mcp_servers(backend, ids(Resource::McpServer));
        lock_rows::<mcp_server::Entity>(db, mcp_servers, LockType::NoKeyUpdate).await?;
        let agents = Condition::all()
            .add(agent::Entity::not_deleted())
            .add(self.agents(backend, ids(Resource::Agent)));
        lock_rows::<agent::Entity>(db, agents, LockType::NoKeyUpdate).await?;
        let circles = Condition::all()
            .add(circle::Entity::not_deleted())
            .add(self.circles(backend, ids(Resource::Circle)));
        lock_rows::<circle::Entity>(db, circles, LockType::Update).await
    }
}

/// The ids of what the owners have, by kind.
pub(super) async fn owned_ids(
    db: &impl ConnectionTrait,
    owners: impl IntoIterator<Item = &String>,
) -> Result<HashMap<String, Vec<i64>>, Error> {
    let mut owners = owners.into_iter().peekable();
    let mut owned: HashMap<String, Vec<i64>> = HashMap::new();
    if owners.peek().is_none() {
        return Ok(owned);
    }
    let theirs = document_owner::Column::Owner.is_in(owners);
    let owners = document_owner::Entity::find().filter(theirs).all(db);
    for row in owners.await? {
        owned.entry(row.resource).or_default().push(row.resource_id);
    }
    Ok(owned)
}

async fn lock_rows<E: Versioned>(
    db: &impl ConnectionTrait,
    which: Condition,
    lock: LockType,
) -> Result<(), Error> {
    let locked = E::find()
        .select_only()
        .column(E::ID)
        .filter(which)
        .order_by_asc(E::ID)
        .lock(lock);
    locked.into_tuple::<i64>().all(db).await?;
    Ok(())
}

/// The texts of a list.
fn texts_in(list: Option<&Value>) -> Vec<&str> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).collect()
}
