//! Writing a price list into the catalogue: one transaction and a handful of statements.
//!
//! An import is an update: a field that the list does not state, and one that is pinned, is left unchanged, so
//! data that was set by hand survives the next import. The mark `is_deprecated` is a person's: a list states the date only.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use migration::{
    connection::{Target, TargetError},
    runner::{self, MigrateError},
    settings::DatabaseSettings,
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr};

use super::{
    models::{WrittenModels, write_models},
    price_list::{ListFormat, ListedModel, PriceList, Remark},
    prices::is_price,
    providers::{WrittenProviders, add_builtin, write_providers},
    summary::{Summary, Tally},
};
use crate::{
    config::Settings,
    database::Database,
    error::Error,
    write::{self, Action, Actor, Change, Fields, Resource},
};

/// Which part of a list to import, and whether to write it.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Only these providers; all if empty.
    pub providers: Vec<String>,
    /// Only these modes; all if empty.
    pub modes: Vec<String>,
    pub dry_run: bool,
    /// The format of the list; what it looks like if `None`.
    pub format: Option<ListFormat>,
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
    Target(#[from] TargetError),
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
    let list = file
        .map(|file| read_list(file, options.format))
        .transpose()?;
    let (database, is_stand_in) = open(settings, options.dry_run).await?;
    let mut summary = import_into(&database, list, options).await?;
    summary.needs_schema = is_stand_in;
    database.close(settings.server.pool_close_timeout).await;
    Ok(summary)
}

/// Opens the database and brings its schema up to date. A dry run changes nothing: for a database without a
/// schema, an empty one in memory stands in, and an old schema is an error.
pub(super) async fn open(
    settings: &Settings,
    dry_run: bool,
) -> Result<(Database, bool), ImportError> {
    let may_migrate = !settings.server.no_migrate;
    if !dry_run {
        let database = Database::open(&settings.database)?;
        database.prepare(may_migrate).await?;
        return Ok((database, false));
    }
    let target = Target::from_settings(&settings.database)?;
    let status = runner::look(&settings.database, &target).await;
    let status = status.map_err(MigrateError::from)?;
    status.check_known()?;
    if !(may_migrate && status.applied.is_empty()) {
        status.check_current()?;
        return Ok((Database::open(&settings.database)?, false));
    }
    let in_memory = DatabaseSettings {
        database_url: Some("sqlite::memory:".to_owned()),
        ..settings.database.clone()
    };
    let database = Database::open(&in_memory)?;
    database.prepare(true).await?;
    Ok((database, true))
}

async fn import_into(
    database: &Database,
    list: Option<PriceList>,
    options: &ImportOptions,
) -> Result<Summary, ImportError> {
    let list = list.as_ref();
    let actor = Actor::default();
    let import = write::run(database, &actor, |work| async move {
        let dry_run = options.dry_run;
        if dry_run {
            work.roll_back_at_end();
        } else {
            lock_catalog(work.db()).await?;
        }
        let mut summary = match list {
            Some(list) => import_list(work.db(), list, options).await?,
            None => add_builtin(work.db(), dry_run).await?,
        };
        summary.dry_run = dry_run;
        work.record_all(change(&summary));
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

/// The largest price list, in bytes: twenty times LiteLLM's.
const MAX_FILE: u64 = 64 << 20;

pub(super) fn read_list(path: &Path, format: Option<ListFormat>) -> Result<PriceList, ImportError> {
    let text =
        migration::bounds::read_to_string(path, MAX_FILE).map_err(|cause| ImportError::File {
            path: path.to_owned(),
            cause,
        })?;
    PriceList::parse(&text, format).map_err(|cause| ImportError::Format {
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
    let wanted = list.models.iter().filter(|model| options.wants(model));
    let models: Vec<&ListedModel> = wanted.collect();
    let WrittenProviders {
        tally: providers,
        ids,
        mut notes,
    } = write_providers(db, list, &models, options.dry_run).await?;
    notes.extend(models.iter().flat_map(|model| model.remarks()));
    let skipped = list.skipped.iter().filter(|it| options.concerns(it));
    let mut skipped: Vec<Remark> = skipped.cloned().collect();
    let WrittenModels { tally, pinned } =
        write_models(db, &models, &ids, &mut skipped, options.dry_run).await?;
    let mut not_kept = BTreeMap::new();
    for field in models.iter().flat_map(|model| &model.not_kept) {
        *not_kept.entry(field.clone()).or_insert(0) += 1;
    }
    let prices_not_kept = not_kept.iter().filter(|(field, _)| is_price(field));
    let prices_not_kept = prices_not_kept.map(|(_, count)| count).sum();
    Ok(Summary {
        providers,
        models: tally,
        rounded: models.iter().map(|model| model.rounded).sum(),
        filtered: list.models.len() - models.len(),
        not_kept,
        prices_not_kept,
        pinned,
        notes,
        skipped,
        needs_schema: false,
        found_nothing: tally == Tally::default() && !list.is_empty(),
        dry_run: false,
    })
}

impl ImportOptions {
    pub(super) fn wants(&self, model: &ListedModel) -> bool {
        let is_mode = |mode| self.modes.contains(mode);
        self.names(&model.provider)
            && (self.modes.is_empty() || model.mode.as_ref().is_some_and(is_mode))
    }

    fn names(&self, provider: &str) -> bool {
        let mut names = self.providers.iter();
        self.providers.is_empty() || names.any(|name| name.eq_ignore_ascii_case(provider))
    }

    /// Whether the report shows this remark. One without a provider concerns none that is named.
    fn concerns(&self, remark: &Remark) -> bool {
        let provider = remark.provider.as_deref();
        provider.map_or(self.providers.is_empty(), |it| self.names(it))
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
        PriceList::parse(&format!("{{{}}}", entries.join(",")), None).expect("a list")
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
        let database = Database::open(&settings.database).expect("a pool");
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
