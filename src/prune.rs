//! Deleting what is older than it has to be kept.
//!
//! Rows go in batches, each in a short transaction, so that the service can run meanwhile; a run that is
//! interrupted is simply repeated. An audit entry says what was deleted, and up to when. It is written before the
//! first batch. The database itself refuses to delete audit entries of the last 30 days, and so this entry.

use std::{fmt, future::ready, time::Duration};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use entity::values::now;
use indicatif::ProgressBar;
use migration::{connection::TargetError, runner::MigrateError};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, Statement, Value};

use crate::{
    changes,
    config::{RetentionSettings, Settings},
    database::{Database, Transaction},
    error::Error,
    progress,
    releases::retention::{self, OldReleases},
    write::{self, Action, Actor, Change, Resource, UnitOfWork},
};

/// Why a run failed. What it had deleted stays deleted.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Schema(#[from] MigrateError),
    #[error(transparent)]
    Write(#[from] Error),
}

impl From<DbErr> for PruneError {
    fn from(cause: DbErr) -> Self {
        Self::Write(cause.into())
    }
}

/// Rows of one table that may go at some time.
struct Prunable {
    /// What they are to people.
    name: &'static str,
    table: &'static str,
    /// The rows older than `$1`, oldest first by an index.
    old: &'static str,
    order: &'static str,
    /// Rows in one transaction.
    batch: u32,
    keep: Option<TimeDelta>,
    /// The audit's name for them; idempotency keys expire by themselves.
    resource: Option<Resource>,
}

fn prunable(settings: &RetentionSettings) -> [Prunable; 4] {
    let keep = |keep: Option<Duration>| keep.and_then(|keep| TimeDelta::from_std(keep).ok());
    [
        Prunable {
            name: "audit entries",
            table: "audit_entries",
            old: "at < $1",
            order: "at, id",
            batch: 5_000,
            keep: keep(settings.keep_audit),
            resource: Some(Resource::Audit),
        },
        // Oldest first, so that of those that are left the first is what the label pointed to when the time began.
        Prunable {
            name: "moves of labels",
            table: "circle_label_moves",
            old: "at < $1 AND (to_release IS NULL OR EXISTS (SELECT 1 FROM circle_label_moves later \
                  WHERE later.circle_id = circle_label_moves.circle_id \
                  AND later.label = circle_label_moves.label \
                  AND later.revision > circle_label_moves.revision AND later.at < $1))",
            order: "circle_id, label, revision",
            batch: 5_000,
            keep: keep(settings.keep_audit),
            resource: Some(Resource::Label),
        },
        // Each takes its messages with it.
        Prunable {
            name: "completed conversations",
            table: "conversations",
            old: "status = 'completed' AND updated_at < $1",
            order: "updated_at, id",
            batch: 20,
            keep: keep(settings.keep_conversations),
            resource: Some(Resource::Conversation),
        },
        Prunable {
            name: "idempotency keys",
            table: "idempotency_keys",
            old: "created_at <= $1",
            order: "created_at",
            batch: 5_000,
            keep: Some(write::RETENTION),
            resource: None,
        },
    ]
}

/// What a run deleted, or would delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    deleted: bool,
    rows: Vec<PrunedRows>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct PrunedRows {
    name: &'static str,
    /// How many, and which; `None` if all are kept.
    found: Option<(u64, String)>,
}

/// Counts what is older than the settings keep and, if `delete` is true, deletes it.
///
/// # Errors
/// A database that can't be reached or is not up to date, or what it reports.
pub async fn prune(settings: &Settings, delete: bool) -> Result<Pruned, PruneError> {
    let database = Database::open(&settings.database)?;
    let pruned = prune_in(&database, &settings.retention, delete).await;
    database.close(settings.server.pool_close_timeout).await;
    pruned
}

async fn prune_in(
    database: &Database,
    settings: &RetentionSettings,
    delete: bool,
) -> Result<Pruned, PruneError> {
    database.check().await?;
    let now = now();
    let mut rows = Vec::new();
    for prunable in prunable(settings) {
        let found = match prunable.keep {
            None => None,
            Some(keep) => {
                let before = now - keep;
                let count = prunable.count(database, before).await?;
                if delete && count > 0 {
                    prunable.delete(database, before, count).await?;
                }
                Some((count, format!("from before {}", time(before))))
            }
        };
        rows.push(PrunedRows {
            name: prunable.name,
            found,
        });
    }
    rows.push(prune_releases(database, settings.keep_releases, delete).await?);
    Ok(Pruned {
        deleted: delete,
        rows,
    })
}

/// What releases are to people.
const RELEASES: &str = "releases";

async fn prune_releases(
    database: &Database,
    keep: Option<i64>,
    delete: bool,
) -> Result<PrunedRows, PruneError> {
    let Some(keep) = keep else {
        return Ok(PrunedRows {
            name: RELEASES,
            found: None,
        });
    };
    let transaction = begin(database).await?;
    let old = retention::find(&*transaction, keep).await?;
    transaction.rollback().await?;
    let count = old.iter().map(|old| old.count).sum();
    let which = format!("beyond the newest {keep} of their circle");
    if delete && count > 0 {
        delete_releases(database, &old, count, &which).await?;
    }
    Ok(PrunedRows {
        name: RELEASES,
        found: Some((count, which)),
    })
}

async fn delete_releases(
    database: &Database,
    old: &[OldReleases],
    count: u64,
    which: &str,
) -> Result<(), PruneError> {
    let change = Change::new(Action::Prune, Resource::Release).name(which);
    write::run(database, &Actor::default(), |work| {
        work.record(change.clone());
        ready(Ok(()))
    })
    .await?;
    let progress = progress::bar(count, RELEASES);
    for old in old {
        delete_batches(&progress, retention::BATCH, async || {
            let batch = |work| retention::delete_batch(work, *old);
            write::run(database, &Actor::default(), batch).await
        })
        .await?;
    }
    progress.finish_and_clear();
    Ok(())
}

impl Prunable {
    async fn count(&self, database: &Database, before: DateTime<Utc>) -> Result<u64, PruneError> {
        let Self { table, old, .. } = self;
        let sql = format!("SELECT count(*) FROM {table} WHERE {old}");
        let transaction = begin(database).await?;
        let backend = transaction.get_database_backend();
        let statement = Statement::from_sql_and_values(backend, sql, [before.into()]);
        let row = transaction.query_one_raw(statement).await?;
        let count = row.map_or(Ok(0), |row| row.try_get_by_index::<i64>(0))?;
        transaction.rollback().await?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    async fn delete(
        &self,
        database: &Database,
        before: DateTime<Utc>,
        count: u64,
    ) -> Result<(), PruneError> {
        write::run(database, &Actor::default(), |work| {
            self.announce(work, before)
        })
        .await?;
        let progress = progress::bar(count, self.name);
        delete_batches(&progress, self.batch.into(), async || {
            let deleted = self.delete_batch(database, before).await?;
            Ok::<_, PruneError>(deleted.rows_affected())
        })
        .await?;
        progress.finish_and_clear();
        Ok(())
    }

    /// Records what is about to be deleted. The database lets audit entries go only after this.
    async fn announce(&self, work: UnitOfWork, before: DateTime<Utc>) -> Result<(), Error> {
        let Some(resource) = self.resource else {
            return Ok(());
        };
        if resource == Resource::Audit {
            let allow =
                "UPDATE audit_retention SET deletable_before = $1 WHERE deletable_before < $1";
            execute(work.db(), allow, [before.into()]).await?;
            lift_timeout(work.db()).await?;
            changes::record_pruned(work.db(), before).await?;
        }
        work.record(Change::new(Action::Prune, resource).name(format!("before {}", time(before))));
        Ok(())
    }

    async fn delete_batch(
        &self,
        database: &Database,
        before: DateTime<Utc>,
    ) -> Result<ExecResult, PruneError> {
        let Self {
            table, old, order, ..
        } = self;
        let oldest = format!(
            "FROM {table} WHERE {old} ORDER BY {order} LIMIT {}",
            self.batch
        );
        let transaction = begin(database).await?;
        // `ARRAY` is evaluated once; a subquery may become part of a join that evaluates it for each row.
        let sql = match transaction.get_database_backend() {
            DbBackend::Sqlite => {
                format!("DELETE FROM {table} WHERE rowid IN (SELECT rowid {oldest})")
            }
            _ => format!("DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid {oldest}))"),
        };
        let deleted = execute(&*transaction, &sql, [before.into()]).await?;
        transaction.commit().await?;
        Ok(deleted)
    }
}

async fn execute(
    db: &impl ConnectionTrait,
    sql: &str,
    values: [Value; 1],
) -> Result<ExecResult, DbErr> {
    let backend = db.get_database_backend();
    db.execute_raw(Statement::from_sql_and_values(backend, sql, values))
        .await
}

/// Begins a transaction, also to count: its statements may take longer than a request's.
async fn begin(database: &Database) -> Result<Transaction, DbErr> {
    let transaction = database.begin_write().await?;
    lift_timeout(&*transaction).await?;
    Ok(transaction)
}

/// Deletes batches of so many rows, until one has fewer.
async fn delete_batches<E>(
    progress: &ProgressBar,
    batch: u64,
    delete: impl AsyncFn() -> Result<u64, E>,
) -> Result<(), E> {
    loop {
        let deleted = delete().await?;
        progress.inc(deleted);
        if deleted < batch {
            return Ok(());
        }
    }
}

/// No client waits for these statements.
async fn lift_timeout(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    if db.get_database_backend() == DbBackend::Postgres {
        db.execute_unprepared("SET LOCAL statement_timeout = 0")
            .await?;
    }
    Ok(())
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

impl fmt::Display for Pruned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.deleted {
            "deleted"
        } else {
            "would delete"
        };
        for PrunedRows { name, found } in &self.rows {
            match found {
                None => writeln!(f, "{name}: all are kept")?,
                Some((count, which)) => writeln!(f, "{name}: {verb} {count} {which}")?,
            }
        }
        if !self.deleted {
            writeln!(f, "nothing was deleted; --yes deletes it")?;
        }
        Ok(())
    }
}
