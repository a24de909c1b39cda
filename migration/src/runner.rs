//! Applies and reverts migrations, each under a lock and in a transaction of its own.
//!
//! A step takes the lock, reads which migrations are applied, runs exactly one more and commits. So
//! any number of instances may start at once: one gets the lock and migrates, the others then find
//! nothing to do. A process that dies in a step leaves the schema as it was before that step.

use std::time::{Duration, Instant};

use sea_orm_migration::{
    MigratorTrait,
    prelude::*,
    sea_orm::{
        DatabaseConnection, DatabaseTransaction, DbBackend, RuntimeErr, SqliteTransactionMode,
        SqlxSqliteError, Statement, TransactionOptions, TransactionTrait,
    },
};

use crate::Migrator;
pub use crate::status::{Status, UNFINISHED_COPY, is_missing_file, look, status};

/// The advisory lock on PostgreSQL: "circle" in ASCII.
const LOCK_KEY: i64 = 0x63_69_72_63_6c_65;
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(50);
const LOCK_TIMEOUT: Duration = Duration::from_mins(10);

/// Why the schema could not be migrated, or is not current.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error(
        "the database's schema is newer than this program: it has {}, which this program does not know; use the build that wrote it, or a later one",
        .0.join(", ").escape_debug()
    )]
    Newer(Vec<String>),
    #[error(
        "the database is not empty, and not this program's: it has {0}, and no record of this program's migrations; use an empty database, or one that circle-registry created"
    )]
    Foreign(String),
    #[error(
        "the database lacks tables that its migrations created ({}); restore it from a backup",
        .0.join(", ")
    )]
    Incomplete(Vec<String>),
    #[error(
        "a copy into the database has not ended; run the same `circle-registry copy` again, which continues it, or `circle-registry migrate fresh`, which deletes what it copied"
    )]
    UnfinishedCopy,
    #[error("{} migrations are not applied yet ({}); run `circle-registry migrate up`", .0.len(), .0.join(", "))]
    Pending(Vec<String>),
    #[error("another process has held the migration lock for ten minutes")]
    Locked,
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// Applies all pending migrations, or the next `steps`, and returns their names.
///
/// # Errors
/// A schema newer than this program's, a migration that failed and was rolled back, or a lock that
/// another process did not release in time.
pub async fn up(db: &DatabaseConnection, steps: Option<u32>) -> Result<Vec<String>, MigrateError> {
    run(db, Direction::Up, steps).await
}

/// Reverts all applied migrations, or the last `steps`, newest first, and returns their names.
///
/// # Errors
/// As [`up`].
pub async fn down(
    db: &DatabaseConnection,
    steps: Option<u32>,
) -> Result<Vec<String>, MigrateError> {
    run(db, Direction::Down, steps).await
}

/// Drops every table, including those that no migration created.
///
/// # Errors
/// Another application's database, and what the database reports.
pub async fn drop_all(db: &DatabaseConnection) -> Result<(), MigrateError> {
    let transaction = begin_locked(db).await?;
    if let Err(foreign @ MigrateError::Foreign(_)) = status(&transaction).await?.check_known() {
        return Err(foreign);
    }
    let tables = match transaction.get_database_backend() {
        DbBackend::Sqlite => {
            // Newest first: dropping a table deletes its rows, so tables that refer to it go before.
            "SELECT name FROM sqlite_master \
             WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid DESC"
        }
        _ => "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = current_schema()",
    };
    let statement = Statement::from_string(transaction.get_database_backend(), tables);
    for row in transaction.query_all_raw(statement).await? {
        let name: String = row.try_get("", "name")?;
        let mut drop = Table::drop();
        drop.table(Alias::new(name)).cascade();
        transaction.execute(&drop).await?;
    }
    transaction.commit().await?;
    Ok(())
}

#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down,
}

async fn run(
    db: &DatabaseConnection,
    direction: Direction,
    steps: Option<u32>,
) -> Result<Vec<String>, MigrateError> {
    let mut names = Vec::new();
    while steps.is_none_or(|steps| names.len() < steps as usize) {
        match step(db, direction).await? {
            Some(name) => names.push(name),
            None => break,
        }
    }
    Ok(names)
}

/// Runs one migration under the lock; `None` if nothing is left to do. It retries while SQLite is
/// busy, because another process may migrate for longer than SQLite's lock timeout.
async fn step(
    db: &DatabaseConnection,
    direction: Direction,
) -> Result<Option<String>, MigrateError> {
    let started = Instant::now();
    loop {
        match try_step(db, direction).await {
            Err(MigrateError::Database(cause)) if is_busy(&cause) => {
                if started.elapsed() > LOCK_TIMEOUT {
                    return Err(MigrateError::Locked);
                }
                tokio::time::sleep(LOCK_POLL_INTERVAL).await;
            }
            outcome => return outcome,
        }
    }
}

/// Whether another connection holds SQLite's write lock.
fn is_busy(error: &DbErr) -> bool {
    const BUSY: i32 = 5;
    let (DbErr::Conn(RuntimeErr::SqlxError(cause))
    | DbErr::Exec(RuntimeErr::SqlxError(cause))
    | DbErr::Query(RuntimeErr::SqlxError(cause))) = error
    else {
        return false;
    };
    cause
        .as_database_error()
        .filter(|reported| reported.try_downcast_ref::<SqlxSqliteError>().is_some())
        .and_then(|reported| reported.code()?.parse::<i32>().ok())
        .is_some_and(|code| code & 0xff == BUSY)
}

async fn try_step(
    db: &DatabaseConnection,
    direction: Direction,
) -> Result<Option<String>, MigrateError> {
    // Without the lock first: usually there is nothing to do, and then nothing is written. An error may
    // be the work of another migrator, of which this look sees a part.
    if let Ok(None) = next(&status(db).await?, direction) {
        return Ok(None);
    }
    let transaction = begin_locked(db).await?;
    let Some(name) = next(&status(&transaction).await?, direction)? else {
        transaction.rollback().await?;
        return Ok(None);
    };
    match direction {
        Direction::Up => Migrator::up(&transaction, Some(1)).await?,
        Direction::Down => Migrator::down(&transaction, Some(1)).await?,
    }
    transaction.commit().await?;
    Ok(Some(name))
}

fn next(status: &Status, direction: Direction) -> Result<Option<String>, MigrateError> {
    status.check_known()?;
    let next = match direction {
        Direction::Up => status.pending.first(),
        Direction::Down => status.applied.last(),
    };
    // The order of migrations is that of the build that knows them all.
    if next.is_some() && !status.additive.is_empty() {
        return Err(MigrateError::Newer(status.additive.clone()));
    }
    Ok(next.cloned())
}

/// Begins the only write transaction of any migrator. It polls for the lock: waiting for it inside
/// PostgreSQL would hold a snapshot and could run into the lock timeout.
async fn begin_locked(db: &DatabaseConnection) -> Result<DatabaseTransaction, MigrateError> {
    let transaction = db
        .begin_with_options(TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        })
        .await?;
    if transaction.get_database_backend() == DbBackend::Sqlite {
        return Ok(transaction);
    }
    // Every step asks for the table of migrations, and PostgreSQL notes each time that it exists.
    transaction
        .execute_unprepared(
            "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
             SET LOCAL client_min_messages = warning",
        )
        .await?;
    let started = Instant::now();
    while started.elapsed() < LOCK_TIMEOUT {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT pg_try_advisory_xact_lock($1) AS locked",
            [LOCK_KEY.into()],
        );
        if let Some(row) = transaction.query_one_raw(statement).await?
            && row.try_get::<bool>("", "locked")?
        {
            return Ok(transaction);
        }
        tokio::time::sleep(LOCK_POLL_INTERVAL).await;
    }
    Err(MigrateError::Locked)
}
