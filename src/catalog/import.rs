//! Writing a price list into the catalogue: one transaction, a handful of statements, and no word
//! about what the list does not say.
//!
//! What a list leaves out stays as it is in the database, so that facts added by hand survive the
//! next import. A model whose retirement date has passed is marked deprecated; one that a person
//! has marked stays marked.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
};

use chrono::{DateTime, NaiveDate, Utc};
use entity::{
    model, provider,
    values::{JsonObject, now},
};
use indicatif::ProgressBar;
use migration::runner::MigrateError;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, QueryFilter,
};

use super::{
    builtin::{self, KnownProvider},
    price_list::{ListedModel, PriceList, Skipped},
    summary::{Summary, Tally},
    upsert::{Changes, as_new, save},
};
use crate::{
    config::Settings,
    database::{Database, OpenError},
    error::Error,
    providers::base_url,
    write::{self, Action, Actor, Change, Fields, Resource},
};

/// Which part of a list to import, and whether to do it.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Only these providers; all where it is empty.
    pub providers: Vec<String>,
    /// Only these modes; all where it is empty.
    pub modes: Vec<String>,
    pub dry_run: bool,
}

/// Why an import failed; the database is as it was.
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

/// Imports a price list, or the well-known providers where no file is given.
///
/// # Errors
/// A file that is no price list, a database that can't be reached, or a write that it refuses.
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
    let by_hand = Actor::default();
    let imported = write::run(database, &by_hand, |work| async move {
        hold(work.db()).await?;
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
    Ok(imported.await?)
}

/// One for all that is imported. The things themselves have the moment in their `updated_at`.
fn change(summary: &Summary) -> Option<Change> {
    let tallies = [("providers", summary.providers), ("models", summary.models)];
    let changed = tallies.into_iter().filter(|(_, tally)| tally.writes() > 0);
    let fields: Fields = changed.map(|(name, _)| name).collect();
    let change = Change::new(Action::Import, Resource::Catalog);
    (!fields.is_empty()).then(|| change.fields(fields))
}

fn read_list(path: &Path) -> Result<PriceList, ImportError> {
    let text = std::fs::read_to_string(path).map_err(|cause| ImportError::File {
        path: path.to_owned(),
        cause,
    })?;
    PriceList::parse(&text).map_err(|cause| ImportError::Format {
        path: path.to_owned(),
        cause,
    })
}

/// One writer at a time, so that what is read here is still true when it is written. SQLite has it
/// so anyway; on PostgreSQL readers go on meanwhile.
async fn hold(db: &DatabaseTransaction) -> Result<(), DbErr> {
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
    let (ids, providers) = provide(db, &models).await?;
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
        let provider = self.providers.is_empty()
            || self
                .providers
                .iter()
                .any(|name| name.eq_ignore_ascii_case(&model.provider));
        let mode = self.modes.is_empty()
            || model
                .mode
                .as_ref()
                .is_some_and(|mode| self.modes.contains(mode));
        provider && mode
    }
}

/// Makes sure that every model's provider is there, and tells their ids by lower-case name.
async fn provide(
    db: &DatabaseTransaction,
    models: &[&ListedModel],
) -> Result<(HashMap<String, i64>, Tally), DbErr> {
    let mut ids = provider_ids(db).await?;
    let mut seen = HashSet::new();
    let named: Vec<&str> = models
        .iter()
        .map(|model| model.provider.as_str())
        .filter(|name| seen.insert(name.to_lowercase()))
        .collect();
    let missing: Vec<provider::ActiveModel> = named
        .iter()
        .filter(|name| !ids.contains_key(&name.to_lowercase()))
        .map(|name| new_provider(name, builtin::find(name), now()))
        .collect();
    let tally = Tally {
        added: missing.len(),
        changed: 0,
        unchanged: named.len() - missing.len(),
    };
    if !missing.is_empty() {
        save(db, missing, &ProgressBar::hidden()).await?;
        ids = provider_ids(db).await?;
    }
    Ok((ids, tally))
}

async fn provider_ids(db: &DatabaseTransaction) -> Result<HashMap<String, i64>, DbErr> {
    let rows = provider::Entity::find().all(db).await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.name.to_lowercase(), row.id))
        .collect())
}

fn new_provider(
    name: &str,
    known: Option<&KnownProvider>,
    now: DateTime<Utc>,
) -> provider::ActiveModel {
    let mut row = provider::Model {
        id: 0,
        name: name.to_owned(),
        display_name: None,
        api_type: UNKNOWN.to_owned(),
        base_url: None,
        is_local: known.is_some_and(|known| known.is_local),
        api_key_env: None,
        config: JsonObject::default(),
        created_at: now,
        updated_at: now,
        revision: 1,
    };
    if let Some(known) = known {
        fill_in(&mut row, known);
    }
    as_new(row)
}

/// The price list does not say which protocol a provider speaks.
const UNKNOWN: &str = "unknown";

/// Fills in what nobody has said of a provider.
fn fill_in(row: &mut provider::Model, known: &KnownProvider) {
    let fill = |field: &mut Option<String>, fact: Option<&str>| {
        if field.is_none() {
            *field = fact.map(ToOwned::to_owned);
        }
    };
    fill(&mut row.display_name, Some(known.display_name));
    fill(&mut row.base_url, known.base_url);
    fill(&mut row.api_key_env, known.api_key_env);
    if row.api_type == UNKNOWN {
        known.api_type.clone_into(&mut row.api_type);
    }
}

async fn import_builtin(db: &DatabaseTransaction) -> Result<Summary, DbErr> {
    let now = now();
    let mut rows: HashMap<String, provider::Model> = provider::Entity::find()
        .all(db)
        .await?
        .into_iter()
        .map(|row| (row.name.to_lowercase(), row))
        .collect();
    let mut changes = Changes::default();
    let mut skipped = Vec::new();
    for known in builtin::PROVIDERS {
        match rows.remove(known.name) {
            None => changes
                .added
                .push(new_provider(known.name, Some(known), now)),
            Some(before) => {
                let mut after = before.clone();
                fill_in(&mut after, known);
                if let Err(wrong) = base_url::check(after.base_url.as_deref(), after.is_local) {
                    skipped.push(Skipped {
                        key: after.name,
                        reason: format!("its base_url {wrong}"),
                    });
                    continue;
                }
                changes.compare(&before, after, |row| {
                    row.updated_at = now;
                    row.revision += 1;
                });
            }
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
    ids: &HashMap<String, i64>,
) -> Result<Tally, DbErr> {
    let now = now();
    let involved: HashSet<i64> = models
        .iter()
        .filter_map(|model| ids.get(&model.provider.to_lowercase()).copied())
        .collect();
    let mut rows: HashMap<(i64, String), model::Model> = model::Entity::find()
        .filter(model::Column::ProviderId.is_in(involved))
        .all(db)
        .await?
        .into_iter()
        .map(|row| ((row.provider_id, row.model_name.clone()), row))
        .collect();
    let mut changes = Changes::default();
    for listed in models {
        let Some(&provider_id) = ids.get(&listed.provider.to_lowercase()) else {
            continue;
        };
        match rows.remove(&(provider_id, listed.model_name.clone())) {
            None => {
                let mut row = blank_model(provider_id, listed, now);
                overlay(&mut row, listed, now.date_naive());
                changes.added.push(as_new(row));
            }
            Some(before) => {
                let mut after = before.clone();
                overlay(&mut after, listed, now.date_naive());
                changes.compare(&before, after, |row| {
                    row.updated_at = now;
                    row.revision += 1;
                });
            }
        }
    }
    changes.write(db, "models").await
}

/// A new row. The list says of few models whether they answer in a stream; those that write text
/// do, unless it says otherwise.
fn blank_model(provider_id: i64, listed: &ListedModel, now: DateTime<Utc>) -> model::Model {
    let writes_text = matches!(
        listed.mode.as_deref(),
        Some("chat" | "completion" | "responses")
    );
    model::Model {
        id: 0,
        provider_id,
        model_name: listed.model_name.clone(),
        model_alias: None,
        mode: None,
        input_price: None,
        output_price: None,
        cache_read_price: None,
        cache_write_price: None,
        context_window: None,
        max_output: None,
        default_temperature: None,
        supports_vision: false,
        supports_tools: false,
        supports_streaming: writes_text,
        supports_reasoning: false,
        release_date: None,
        deprecation_date: None,
        is_deprecated: false,
        created_at: now,
        updated_at: now,
        revision: 1,
    }
}

/// Lays what the list says over a row.
fn overlay(row: &mut model::Model, listed: &ListedModel, today: NaiveDate) {
    let ListedModel {
        provider: _,
        model_name: _,
        mode,
        input_price,
        output_price,
        cache_read_price,
        cache_write_price,
        context_window,
        max_output,
        supports_vision,
        supports_tools,
        supports_streaming,
        supports_reasoning,
        deprecation_date,
    } = listed;
    say(&mut row.mode, mode.as_ref());
    say(&mut row.input_price, input_price.as_ref());
    say(&mut row.output_price, output_price.as_ref());
    say(&mut row.cache_read_price, cache_read_price.as_ref());
    say(&mut row.cache_write_price, cache_write_price.as_ref());
    say(&mut row.context_window, context_window.as_ref());
    say(&mut row.max_output, max_output.as_ref());
    say(&mut row.deprecation_date, deprecation_date.as_ref());
    row.supports_vision = supports_vision.unwrap_or(row.supports_vision);
    row.supports_tools = supports_tools.unwrap_or(row.supports_tools);
    row.supports_streaming = supports_streaming.unwrap_or(row.supports_streaming);
    row.supports_reasoning = supports_reasoning.unwrap_or(row.supports_reasoning);
    row.is_deprecated |= row.deprecation_date.is_some_and(|date| date <= today);
}

fn say<T: Clone>(field: &mut Option<T>, said: Option<&T>) {
    if let Some(said) = said {
        *field = Some(said.clone());
    }
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
