//! Writing a price list into the catalogue: one transaction and a handful of statements.
//!
//! An import is an update: a field that the list does not state is left unchanged, so data that was added
//! by hand survives the next import. A model whose retirement date has passed is marked as deprecated. An
//! import never removes that mark.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
};

use entity::{
    model, provider,
    values::{JsonObject, now},
};
use migration::runner::MigrateError;
use poem_openapi::types::MaybeUndefined;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait,
    IntoActiveModel, QueryFilter,
};

use super::{
    builtin::{self, KnownProvider},
    price_list::{ListedModel, PriceList, Skipped},
    summary::{Summary, Tally},
    upsert::Changes,
};
use crate::{
    config::Settings,
    database::{Database, OpenError},
    error::Error,
    models::dto::ModelCreate,
    providers::{
        base_url,
        dto::{ProviderCreate, ProviderUpdate},
    },
    write::{self, Action, Actor, Change, Fields, Resource, merge},
};

/// Which part of a list to import, and whether to write it.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Only these providers; all if empty.
    pub providers: Vec<String>,
    /// Only these modes; all if empty.
    pub modes: Vec<String>,
    pub dry_run: bool,
}

/// Why an import failed. The database is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("{} can't be read: {cause}", path.display())]
    File { path: PathBuf, cause: io::Error },
    #[error("{} is not a price list: {cause}", path.display())]
    Format {
        path: PathBuf,
        cause: serde_json::Error,
    },
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Schema(#[from] MigrateError),
    #[error(transparent)]
    Write(#[from] Error),
}

/// Imports a price list, or without a file the well-known providers.
///
/// # Errors
/// A file that is not a price list, a database that can't be reached, or a write that it rejects.
pub async fn import(
    settings: &Settings,
    file: Option<&Path>,
    options: &ImportOptions,
) -> Result<Summary, ImportError> {
    let list = file.map(read_list).transpose()?;
    let database = Database::open(&settings.database).await?;
    database.prepare(!settings.server.no_migrate).await?;
    let summary = import_into(&database, list, options).await?;
    database.close(settings.server.pool_close_timeout).await;
    Ok(summary)
}

async fn import_into(
    database: &Database,
    list: Option<PriceList>,
    options: &ImportOptions,
) -> Result<Summary, ImportError> {
    let list = list.as_ref();
    let actor = Actor::default();
    let import = write::run(database, &actor, |work| async move {
        lock_catalog(work.db()).await?;
        let mut summary = match list {
            Some(list) => import_list(work.db(), list, options).await?,
            None => import_builtin(work.db()).await?,
        };
        summary.dry_run = options.dry_run;
        if options.dry_run {
            work.roll_back_at_end();
        } else {
            work.record_all(change(&summary));
        }
        Ok(summary)
    });
    Ok(import.await?)
}

/// One audit entry for the whole import.
fn change(summary: &Summary) -> Option<Change> {
    let tallies = [("providers", summary.providers), ("models", summary.models)];
    let changed = tallies.into_iter().filter(|(_, tally)| tally.writes() > 0);
    let fields: Fields = changed.map(|(name, _)| name).collect();
    let change = Change::new(Action::Import, Resource::Catalog);
    (!fields.is_empty()).then(|| change.fields(fields))
}

/// The largest price list, in bytes: twenty times that of LiteLLM.
const MAX_FILE: u64 = 32 << 20;

fn read_list(path: &Path) -> Result<PriceList, ImportError> {
    let text =
        migration::bounds::read_to_string(path, MAX_FILE).map_err(|cause| ImportError::File {
            path: path.to_owned(),
            cause,
        })?;
    PriceList::parse(&text).map_err(|cause| ImportError::Format {
        path: path.to_owned(),
        cause,
    })
}

/// Locks the catalogue against other writers, not against readers. SQLite has one writer anyway.
async fn lock_catalog(db: &DatabaseTransaction) -> Result<(), DbErr> {
    if db.get_database_backend() == DbBackend::Postgres {
        db.execute_unprepared("LOCK TABLE providers, models IN SHARE ROW EXCLUSIVE MODE")
            .await?;
    }
    Ok(())
}

async fn import_list(
    db: &DatabaseTransaction,
    list: &PriceList,
    options: &ImportOptions,
) -> Result<Summary, DbErr> {
    let PriceList {
        models,
        skipped,
        rounded,
    } = list;
    let all = models.len();
    let models: Vec<&ListedModel> = models.iter().filter(|model| options.wants(model)).collect();
    let filtered = all - models.len();
    let (providers, ids) = write_providers(db, &models).await?;
    let models = write_models(db, &models, &ids).await?;
    Ok(Summary {
        providers,
        models,
        rounded: *rounded,
        filtered,
        skipped: skipped.clone(),
        dry_run: false,
    })
}

impl ImportOptions {
    fn wants(&self, model: &ListedModel) -> bool {
        let names = &self.providers;
        let is_named = |name: &String| name.eq_ignore_ascii_case(&model.provider);
        let mode = model.update.mode.value();
        (names.is_empty() || names.iter().any(is_named))
            && (self.modes.is_empty() || mode.is_some_and(|mode| self.modes.contains(mode)))
    }
}

/// Adds the providers that are missing. Returns the ids of all by lower-case name.
async fn write_providers(
    db: &DatabaseTransaction,
    models: &[&ListedModel],
) -> Result<(Tally, HashMap<String, i64>), DbErr> {
    let mut existing = providers_by_name(db).await?;
    let mut changes = Changes::<provider::ActiveModel>::default();
    let mut seen = HashSet::new();
    for ListedModel { provider, .. } in models {
        match existing.get(&provider.to_lowercase()) {
            _ if !seen.insert(provider.to_lowercase()) => {}
            None => changes.add(new_provider(provider).into()),
            Some(_) => changes.keep(),
        }
    }
    let tally = changes.write(db, "providers").await?;
    if tally.writes() > 0 {
        existing = providers_by_name(db).await?;
    }
    let ids = existing.into_iter().map(|(name, row)| (name, row.id));
    Ok((tally, ids.collect()))
}

async fn providers_by_name(
    db: &DatabaseTransaction,
) -> Result<HashMap<String, provider::Model>, DbErr> {
    let rows = provider::Entity::find().all(db).await?;
    let by_name = rows.into_iter().map(|row| (row.name.to_lowercase(), row));
    Ok(by_name.collect())
}

/// Price lists do not state which protocol a provider speaks.
const UNKNOWN: &str = "unknown";

/// A provider with this name, with what is known about it.
pub(super) fn new_provider(name: &str) -> ProviderCreate {
    let known = builtin::find(name);
    let owned = |fact: Option<&str>| fact.map(ToOwned::to_owned);
    ProviderCreate {
        name: name.to_owned(),
        api_type: known.map_or(UNKNOWN, |known| known.api_type).to_owned(),
        display_name: owned(known.map(|known| known.display_name)),
        base_url: owned(known.and_then(|known| known.base_url)),
        api_key_env: owned(known.and_then(|known| known.api_key_env)),
        is_local: known.is_some_and(|known| known.is_local),
        config: JsonObject::default(),
    }
}

/// Sets the fields that are not set yet.
fn fill_in(before: &provider::Model, known: &KnownProvider) -> ProviderUpdate {
    let fill = |field: &Option<String>, fact: Option<&str>| match (field, fact) {
        (None, Some(fact)) => MaybeUndefined::Value(fact.to_owned()),
        _ => MaybeUndefined::Undefined,
    };
    ProviderUpdate {
        api_type: (before.api_type == UNKNOWN).then(|| known.api_type.to_owned()),
        display_name: fill(&before.display_name, Some(known.display_name)),
        base_url: fill(&before.base_url, known.base_url),
        api_key_env: fill(&before.api_key_env, known.api_key_env),
        ..ProviderUpdate::default()
    }
}

async fn import_builtin(db: &DatabaseTransaction) -> Result<Summary, DbErr> {
    let existing = providers_by_name(db).await?;
    let mut changes = Changes::default();
    let mut skipped = Vec::new();
    for known in builtin::PROVIDERS {
        let Some(before) = existing.get(known.name) else {
            changes.add(new_provider(known.name).into());
            continue;
        };
        let update = fill_in(before, known);
        let base_url = update.base_url.value().or(before.base_url.as_ref());
        match base_url::check(base_url.map(String::as_str), before.is_local) {
            Ok(()) => changes.update(merge(before.clone().into_active_model(), &update.into())),
            Err(wrong) => skipped.push(Skipped {
                key: before.name.clone(),
                reason: format!("its base_url {wrong}"),
            }),
        }
    }
    Ok(Summary {
        providers: changes.write(db, "providers").await?,
        skipped,
        ..Summary::default()
    })
}

async fn write_models(
    db: &DatabaseTransaction,
    models: &[&ListedModel],
    provider_ids: &HashMap<String, i64>,
) -> Result<Tally, DbErr> {
    let mut listed = Vec::with_capacity(models.len());
    for model in models {
        let id = provider_ids.get(&model.provider.to_lowercase());
        let id = id.ok_or_else(|| DbErr::RecordNotFound(model.provider.clone()))?;
        listed.push((*id, model));
    }
    let involved: HashSet<i64> = listed.iter().map(|(provider_id, _)| *provider_id).collect();
    let mut existing: HashMap<(i64, String), model::Model> = model::Entity::find()
        .filter(model::Column::ProviderId.is_in(involved))
        .all(db)
        .await?
        .into_iter()
        .map(|row| ((row.provider_id, row.model_name.clone()), row))
        .collect();
    let mut changes = Changes::default();
    for (provider_id, model) in listed {
        let update = model.update.clone().into();
        match existing.remove(&(provider_id, model.model_name.clone())) {
            None => {
                let new = new_model(provider_id, model).into();
                changes.add(retire(merge(new, &update)));
            }
            Some(before) => changes.update(retire(merge(before.into_active_model(), &update))),
        }
    }
    changes.write(db, "models").await
}

/// A model without the fields that the list states. Lists rarely state whether a model streams; models
/// that write text do, unless the list says otherwise.
fn new_model(provider_id: i64, listed: &ListedModel) -> ModelCreate {
    let mode = listed.update.mode.value().map(String::as_str);
    ModelCreate {
        provider_id,
        model_name: listed.model_name.clone(),
        supports_streaming: matches!(mode, Some("chat" | "completion" | "responses")),
        ..ModelCreate::default()
    }
}

/// Marks a model as deprecated if its retirement date has passed.
fn retire(mut row: model::ActiveModel) -> model::ActiveModel {
    let date = row.deprecation_date.try_as_ref().copied().flatten();
    if date.is_some_and(|date| date <= now().date_naive()) {
        row.is_deprecated.set_if_not_equals(true);
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    /// A list of `count` models of three providers.
    fn list_of(count: usize) -> PriceList {
        let entries: Vec<String> = (0..count)
            .map(|number| {
                format!(
                    r#""m{number}": {{"litellm_provider": "p{}", "input_cost_per_token": {number}e-7}}"#,
                    number % 3
                )
            })
            .collect();
        PriceList::parse(&format!("{{{}}}", entries.join(","))).expect("a list")
    }

    #[tokio::test]
    async fn an_import_takes_one_statement_for_many_rows() {
        #[derive(Parser)]
        struct Arguments {
            #[command(flatten)]
            settings: Settings,
        }
        let arguments = ["test", "--database-url", "sqlite::memory:"];
        let settings = Arguments::parse_from(arguments).settings;
        let database = Database::open(&settings.database).await.expect("a pool");
        database.prepare(true).await.expect("a schema");

        let before = database.statistics().statements;
        let options = ImportOptions::default();
        let summary = import_into(&database, Some(list_of(4500)), &options)
            .await
            .expect("an import");
        assert_eq!(summary.models.added, 4500);
        let statements = database.statistics().statements - before;
        assert!(statements <= 20, "{statements} statements");

        let summary = import_into(&database, Some(list_of(4500)), &options)
            .await
            .expect("an import");
        assert_eq!(summary.models.unchanged, 4500);
    }
}
