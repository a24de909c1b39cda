//! `circle-registry copy`: everything in one database becomes everything in another, of the same kind or the other.
//!
//! One run reads the source in one snapshot. Table by table, it reads the rows of both databases in the order of their
//! keys, deletes from the target what the source does not have in this form, and inserts what the target lacks. Into an
//! empty target that is a copy; into one that a killed run left, it is what is left to do, whatever the source has
//! become since. Then it reads the target once more, compares checksums, and only then makes the target a database that
//! the service starts on.
//!
//! The function `copy` is the run. `catalogue` says what is copied, `session` (with `postgres` and `sqlite`) reads and writes rows,
//! `merge` compares them, `table` copies one table, `unfinished` keeps the state, `ending` sets what is not in rows.

mod catalogue;
mod datum;
mod ending;
mod error;
mod merge;
mod postgres;
mod progress_lines;
mod report;
mod session;
mod sqlite;
mod table;
mod unfinished;

use migration::{
    connection::{self, PoolSize, Target},
    runner::{self, MigrateError, Status},
    settings::DatabaseSettings,
};

pub(crate) use error::{CopyError, CopySide};
pub(crate) use report::CopyReport;

use catalogue::{BuildSchema, CopiedTable, SchemaCatalogue};
use progress_lines::CopyProgress;
use report::CopiedRows;
use session::CopySession;
use unfinished::UnfinishedCopy;

/// Copies all rows of one database into another, which is empty, or which a run that was interrupted has left.
///
/// # Errors
/// Databases that can't be copied from or to, and what they report. The same call continues then.
pub(crate) async fn copy(
    settings: &DatabaseSettings,
    from: Target,
    to: Target,
) -> Result<CopyReport, CopyError> {
    let build = BuildSchema::of_this_build(settings).await?;
    let from = choose(settings, from, CopySide::Source).await?;
    let to = choose(settings, to, CopySide::Target).await?;
    check_source(&runner::look(settings, &from).await.map_err(source_failed)?)?;
    let continues = prepare_target(settings, &to, &build).await?;

    let mut source = CopySession::source(settings, &from).await?;
    source.begin_to_read().await?;
    let from_catalogue = SchemaCatalogue::read(&mut source).await?;
    let mut target = CopySession::target(settings, &to).await?;
    let to_catalogue = SchemaCatalogue::read(&mut target).await?;
    let tables = build.tables_to_copy(
        (from.backend(), &from_catalogue),
        (to.backend(), &to_catalogue),
    )?;

    let run = UnfinishedCopy::begin(&mut target, &build, continues).await?;
    let mut reader = CopySession::target(settings, &to).await?;
    let copied = copy_tables(&tables, &mut source, &mut target, &mut reader, &run).await?;
    let report = CopyReport::of(copied);
    if report.identical {
        run.transaction(&mut target).await?;
        ending::continue_ids(
            &tables,
            (&mut source, &from_catalogue),
            (&mut target, &to_catalogue),
        )
        .await?;
        ending::continue_feed(from.backend(), &mut target).await?;
        run.finish(&mut target).await?;
        target.execute("COMMIT").await?;
        ending::analyze(&tables, &mut target).await;
    }
    Ok(report)
}

fn source_failed(cause: sea_orm::DbErr) -> CopyError {
    CopyError::Database(CopySide::Source, cause)
}

async fn choose(
    settings: &DatabaseSettings,
    target: Target,
    side: CopySide,
) -> Result<Target, CopyError> {
    if target.is_in_memory() {
        return Err(CopyError::InMemory(side));
    }
    let chosen = target.choose_host(settings.db_acquire_timeout).await;
    chosen.map_err(|cause| CopyError::Database(side, cause))
}

/// Only what this build knows completely can be copied completely.
fn check_source(status: &Status) -> Result<(), CopyError> {
    let refused = |cause| CopyError::Schema(CopySide::Source, cause);
    if !status.additive.is_empty() {
        return Err(refused(MigrateError::Newer(status.additive.clone())));
    }
    status.check_known().map_err(refused)?;
    if status.applied.is_empty() {
        return Err(CopyError::NoSource);
    }
    status.clone().check_current().map_err(refused)
}

/// Migrates an empty target. Whether a copy into it has begun already.
async fn prepare_target(
    settings: &DatabaseSettings,
    to: &Target,
    build: &BuildSchema,
) -> Result<bool, CopyError> {
    let refused = |cause| CopyError::Schema(CopySide::Target, cause);
    let failed = |cause| CopyError::Database(CopySide::Target, cause);
    let status = runner::look(settings, to).await.map_err(failed)?;
    if !status.additive.is_empty() {
        return Err(refused(MigrateError::Newer(status.additive)));
    }
    match status.check_known() {
        Err(MigrateError::UnfinishedCopy) => return Ok(true),
        known => known.map_err(refused)?,
    }
    if !status.applied.is_empty() {
        // Also before it is migrated: a database that is refused stays as it is.
        let mut target = CopySession::target(settings, to).await?;
        target.begin_to_read().await?;
        unfinished::require_empty(&mut target, build).await?;
    }
    let db = connection::open(settings, to, PoolSize::ONE);
    runner::up(&db, None).await.map_err(refused)?;
    db.close().await.map_err(failed)?;
    Ok(false)
}

/// Copies all tables, and compares them in the end.
async fn copy_tables(
    tables: &[CopiedTable],
    source: &mut CopySession,
    target: &mut CopySession,
    reader: &mut CopySession,
    run: &UnfinishedCopy,
) -> Result<Vec<CopiedRows>, CopyError> {
    let mut progress = CopyProgress::of(tables, source).await?;
    let mut digests = Vec::new();
    for table in tables {
        let digest = table::copy(table, source, target, reader, run, &mut progress).await?;
        progress.end(&table.name, digest.rows);
        digests.push(digest);
    }
    progress.compare();
    reader.begin_to_read().await?;
    let mut copied = Vec::new();
    for (table, source) in tables.iter().zip(digests) {
        let target = merge::digest_of(reader.rows(table)).await?.finish();
        copied.push(CopiedRows {
            table: table.name.clone(),
            source,
            target,
        });
    }
    progress.finish();
    Ok(copied)
}
