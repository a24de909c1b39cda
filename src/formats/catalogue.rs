//! What the registry has that files may name: models, providers and MCP servers.

use std::collections::{HashMap, HashSet};

use chrono::{NaiveDate, Utc};
use entity::{mcp_server, model, provider};
use sea_orm::{EntityTrait, QuerySelect};

use super::fields::{items_of, members_of, text_of};
use crate::{
    database::Database,
    documents::{self, ExportSelection},
    error::Error,
    yaml::{Node, NodeMap},
};

/// The registry's models, providers and MCP servers.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    /// Names by their lower case.
    pub(super) providers: HashMap<String, String>,
    pub(super) models: Vec<CatalogueModel>,
    pub(super) servers: HashSet<String>,
    /// What the documents' owner has: its entries have to stay in its documents.
    pub(super) owned: HashMap<(&'static str, String), NodeMap>,
}

/// A model of the catalogue.
#[derive(Clone, Debug)]
pub(super) struct CatalogueModel {
    pub(super) provider: String,
    pub(super) name: String,
    pub(super) alias: Option<String>,
    pub(super) is_deprecated: bool,
    pub(super) is_chat: bool,
    pub(super) release_date: Option<NaiveDate>,
}

impl CatalogueModel {
    /// What documents call it.
    pub(super) fn reference(&self) -> String {
        format!("{}/{}", self.provider, self.name)
    }
}

/// A row of `models`.
type ModelColumns = (
    i64,
    String,
    Option<String>,
    Option<String>,
    bool,
    Option<NaiveDate>,
    Option<NaiveDate>,
);

impl Catalogue {
    /// # Errors
    /// Those of the database.
    pub(crate) async fn load(database: &Database, owner: Option<&str>) -> Result<Self, Error> {
        let db = database.connection();
        let providers: Vec<(i64, String)> = provider::Entity::find()
            .select_only()
            .columns([provider::Column::Id, provider::Column::Name])
            .into_tuple()
            .all(db)
            .await?;
        let providers: HashMap<i64, String> = providers.into_iter().collect();
        let rows: Vec<ModelColumns> = model::Entity::find()
            .select_only()
            .columns([
                model::Column::ProviderId,
                model::Column::ModelName,
                model::Column::ModelAlias,
                model::Column::Mode,
                model::Column::IsDeprecated,
                model::Column::DeprecationDate,
                model::Column::ReleaseDate,
            ])
            .into_tuple()
            .all(db)
            .await?;
        let today = Utc::now().date_naive();
        let model =
            |(provider_id, name, alias, mode, marked, retires, release_date): ModelColumns| {
                Some(CatalogueModel {
                    provider: providers.get(&provider_id)?.clone(),
                    name,
                    alias,
                    is_deprecated: marked || model::retired_on(retires, today).is_some(),
                    is_chat: mode.is_none_or(|mode| matches!(mode.as_str(), "chat" | "responses")),
                    release_date,
                })
            };
        let servers: Vec<String> = mcp_server::Entity::find()
            .select_only()
            .column(mcp_server::Column::Name)
            .into_tuple()
            .all(db)
            .await?;
        Ok(Self {
            models: rows.into_iter().filter_map(model).collect(),
            providers: providers
                .into_values()
                .map(|name| (name.to_ascii_lowercase(), name))
                .collect(),
            servers: servers.into_iter().collect(),
            owned: owned_by(database, owner).await?,
        })
    }

    /// The provider's entry in the owner's documents.
    pub(super) fn owned_provider(&self, name: &str) -> Option<&NodeMap> {
        self.owned.get(&("providers", name.to_ascii_lowercase()))
    }

    /// The model's entry in the owner's documents.
    pub(super) fn owned_model(&self, reference: &str) -> Option<&NodeMap> {
        self.owned.get(&("models", reference.to_owned()))
    }
}

/// The providers and models that an owner has, as documents describe them.
async fn owned_by(
    database: &Database,
    owner: Option<&str>,
) -> Result<HashMap<(&'static str, String), NodeMap>, Error> {
    let mut entries_by_name = HashMap::new();
    let Some(owner) = owner else {
        return Ok(entries_by_name);
    };
    let selection = ExportSelection {
        owner: Some(owner.to_owned()),
        ..ExportSelection::default()
    };
    let document = documents::export(database, &selection).await?;
    let Some(document) = members_of(&document) else {
        return Ok(entries_by_name);
    };
    for table in ["providers", "models"] {
        let entries: &[Node] = document.get(table).map(items_of).unwrap_or_default();
        for entry in entries.iter().filter_map(members_of) {
            let text = |field: &str| entry.get(field).and_then(text_of).unwrap_or_default();
            let name = match table {
                "providers" => text("name").to_ascii_lowercase(),
                _ => format!("{}/{}", text("provider"), text("model_name")),
            };
            entries_by_name.insert((table, name), entry.clone());
        }
    }
    Ok(entries_by_name)
}
