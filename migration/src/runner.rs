//! Applying and undoing migrations, one transaction and one lock each.
//!
//! Every step takes the lock, reads what is applied, changes the schema by exactly one migration
//! and commits. So any number of instances may start at once: whoever gets the lock does the next
//! step, the others find it done. A process that dies in a step leaves the step undone.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use sea_orm_migration::{
    MigratorTrait,
    prelude::*,
    sea_orm::{
        DatabaseConnection, DatabaseTransaction, DbBackend, EntityTrait, QueryOrder, RuntimeErr,
        SqliteTransactionMode, SqlxSqliteError, Statement, TransactionOptions, TransactionTrait,
    },
    seaql_migrations,
};

use crate::Migrator;

/// The advisory lock on PostgreSQL: "circle" in ASCII.
const LOCK_KEY: i64 = 0x63_69_72_63_6c_65;
const LOCK_POLL: Duration = Duration::from_millis(50);
const LOCK_PATIENCE: Duration = Duration::from_mins(10);

/// Why the schema could not be brought where it should be.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error(
        "the database's schema is newer than this program: it has {}, which this program does not know; use the release that wrote it, or a later one",
        .0.join(", ")
    )]
    Newer(Vec<String>),
    #[error("{} migrations are not applied yet ({}); run `circle-registry migrate up`", .0.len(), .0.join(", "))]
    Pending(Vec<String>),
    #[error("another process has held the migration lock for ten minutes")]
    Locked,
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// Where a database stands, migration by migration, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub applied: Vec<String>,
    pub pending: Vec<String>,
    /// Applied, but unknown to this program.
    pub unknown: Vec<String>,
}

impl Status {
    /// # Errors
    /// A schema that is newer or older than this program.
    pub fn check_current(self) -> Result<(), MigrateError> {
        if !self.unknown.is_empty() {
            return Err(MigrateError::Newer(self.unknown));
        }
        if !self.pending.is_empty() {
            return Err(MigrateError::Pending(self.pending));
        }
        Ok(())
    }
}

/// Reads where the database stands and changes nothing.
///
/// # Errors
/// A database that can't be read.
pub async fn status<C: ConnectionTrait>(db: &C) -> Result<Status, DbErr> {
    let manager_table = Migrator::migration_table_name().to_string();
    let recorded = if has_table(db, &manager_table).await? {
        seaql_migrations::Entity::find()
            .order_by_asc(seaql_migrations::Column::Version)
            .all(db)
            .await?
    } else {
        Vec::new()
    };
    let recorded: BTreeSet<String> = recorded.into_iter().map(|row| row.version).collect();
    let known: Vec<String> = names();
    let (applied, pending) = known
        .iter()
        .cloned()
        .partition(|name| recorded.contains(name));
    let unknown = recorded
        .into_iter()
        .filter(|name| !known.contains(name))
        .collect();
    Ok(Status {
        applied,
        pending,
        unknown,
    })
}

fn names() -> Vec<String> {
    Migrator::migrations()
        .iter()
        .map(|migration| migration.name().to_owned())
        .collect()
}

async fn has_table<C: ConnectionTrait>(db: &C, table: &str) -> Result<bool, DbErr> {
    let sql = match db.get_database_backend() {
        DbBackend::Sqlite => "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1",
        _ => "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = $1",
    };
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [table.into()]);
    Ok(db.query_one_raw(statement).await?.is_some())
}

/// Applies the pending migrations, all of them or the next `steps`, and names what it applied.
///
/// # Errors
/// A schema newer than this program, a migration that failed (it left nothing behind), or a lock
/// that could not be had.
pub async fn up(db: &DatabaseConnection, steps: Option<u32>) -> Result<Vec<String>, MigrateError> {
    let mut applied = Vec::new();
    while steps.is_none_or(|steps| applied.len() < steps as usize) {
        match step(db, Direction::Up).await? {
            Some(name) => applied.push(name),
            None => break,
        }
    }
    Ok(applied)
}

/// Undoes applied migrations, newest first, all of them or the last `steps`, and names them.
///
/// # Errors
/// As [`up`].
pub async fn down(
    db: &DatabaseConnection,
    steps: Option<u32>,
) -> Result<Vec<String>, MigrateError> {
    let mut undone = Vec::new();
    while steps.is_none_or(|steps| undone.len() < steps as usize) {
        match step(db, Direction::Down).await? {
            Some(name) => undone.push(name),
            None => break,
        }
    }
    Ok(undone)
}

/// Drops every table, known or not, so that [`up`] starts from nothing.
///
/// # Errors
/// A database that refuses.
pub async fn drop_all(db: &DatabaseConnection) -> Result<(), MigrateError> {
    let transaction = locked(db).await?;
    let tables = match transaction.get_database_backend() {
        DbBackend::Sqlite => {
            // Newest first: dropping a table deletes its rows, and what refers to them must be gone.
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

/// One migration under the lock; `None` where there is nothing left to do. SQLite's own patience
/// with another writer may be shorter than that one's migration.
async fn step(
    db: &DatabaseConnection,
    direction: Direction,
) -> Result<Option<String>, MigrateError> {
    let begun = Instant::now();
    loop {
        match try_step(db, direction).await {
            Err(MigrateError::Database(cause)) if is_busy(&cause) => {
                if begun.elapsed() > LOCK_PATIENCE {
                    return Err(MigrateError::Locked);
                }
                tokio::time::sleep(LOCK_POLL).await;
            }
            outcome => return outcome,
        }
    }
}

/// Whether SQLite says that somebody else has the file.
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
    // A look without the lock: the usual start finds nothing to do and writes nothing.
    if next(&status(db).await?, direction)?.is_none() {
        return Ok(None);
    }
    let transaction = locked(db).await?;
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
    if !status.unknown.is_empty() {
        return Err(MigrateError::Newer(status.unknown.clone()));
    }
    Ok(match direction {
        Direction::Up => status.pending.first().cloned(),
        Direction::Down => status.applied.last().cloned(),
    })
}

/// A write transaction that no other migrator is in. It waits in a loop and not in the database,
/// where a session that waits would hold a snapshot and could be caught by the lock timeout.
async fn locked(db: &DatabaseConnection) -> Result<DatabaseTransaction, MigrateError> {
    let transaction = db
        .begin_with_options(TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        })
        .await?;
    if transaction.get_database_backend() == DbBackend::Sqlite {
        return Ok(transaction);
    }
    transaction
        .execute_unprepared("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        .await?;
    let begun = Instant::now();
    while begun.elapsed() < LOCK_PATIENCE {
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
        tokio::time::sleep(LOCK_POLL).await;
    }
    Err(MigrateError::Locked)
}
