//! The pool: open, use, count, close.

mod sessions;

use std::{
    ops::Deref,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::error::{self, DatabaseCause};
use migration::{
    connection::{self, PoolSize, Target, TargetError},
    hooks::Suspicion,
    runner::{self, MigrateError},
    settings::DatabaseSettings,
};
use sea_orm::{
    ConnAcquireErr, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, RuntimeErr,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
    sqlx::{self, ConnectOptions, Connection},
};
use tracing::Instrument;

pub use sessions::Sessions;

/// How long a transaction may take to begin. What is there to wait for has limits of its own, so
/// that only a database that is silent for good lets it come to this.
const BEGIN_LIMIT: Duration = Duration::from_mins(1);

/// The pool of connections, with what it counts. Clones share one pool.
#[derive(Clone, Debug)]
pub struct Database(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connection: DatabaseConnection,
    sessions: Sessions,
    target: Target,
    size: PoolSize,
    patience: Duration,
    suspicion: Suspicion,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    statements: AtomicU64,
    timed_out: AtomicU64,
}

impl Counters {
    /// Notes a statement that was sent.
    fn note(&self, statement: &Statement, elapsed: Duration, failed: bool) {
        self.statements.fetch_add(1, Ordering::Relaxed);
        // The values stay out of it.
        tracing::trace!(
            sql = statement.sql,
            elapsed_us = elapsed.as_micros(),
            failed,
            "statement"
        );
    }
}

/// A transaction under way. One that is dropped is rolled back.
#[derive(Debug)]
pub struct Transaction {
    transaction: DatabaseTransaction,
    _place: sessions::Place,
}

impl Transaction {
    /// Makes everything that was done last.
    ///
    /// # Errors
    /// What the database reports; where the connection broke, nobody knows whether it was done.
    pub async fn commit(self) -> Result<(), DbErr> {
        self.transaction.commit().await
    }

    /// # Errors
    /// What the database reports.
    pub async fn rollback(self) -> Result<(), DbErr> {
        self.transaction.rollback().await
    }
}

impl Deref for Transaction {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.transaction
    }
}

/// A moment in the life of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    pub backend: &'static str,
    pub min: u32,
    pub max: u32,
    pub open: u32,
    pub idle: u32,
    pub in_use: u32,
    /// Requests that gave up waiting for a connection, since the start.
    pub timed_out: u64,
    /// Statements sent, since the start.
    pub statements: u64,
}

/// Why there is no pool.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("the database {database} can't be opened: {cause}")]
    Refused { database: String, cause: DbErr },
}

impl Database {
    /// Opens the pool that the settings describe. The database is not touched yet.
    ///
    /// # Errors
    /// Settings that name no database.
    pub async fn open(settings: &DatabaseSettings) -> Result<Self, OpenError> {
        let target = Target::from_settings(settings)?;
        let size = PoolSize::from_settings(settings, &target);
        let suspicion = Suspicion::default();
        let mut connection = connection::open_watched(settings, &target, size, &suspicion)
            .await
            .map_err(|cause| OpenError::Refused {
                database: target.database().to_owned(),
                cause,
            })?;
        let counters = Arc::new(Counters::default());
        let counted = Arc::clone(&counters);
        connection.set_metric_callback(move |info| {
            counted.note(info.statement, info.elapsed, info.failed);
        });
        let patience = settings.db_acquire_timeout;
        let sessions = Sessions::new(
            &connection,
            size.max,
            patience,
            &suspicion,
            Arc::clone(&counters),
        );
        tracing::info!(
            backend = backend_name(target.backend()),
            host = target.host(),
            database = target.database(),
            min = size.min,
            max = size.max,
            "database pool opened"
        );
        Ok(Self(Arc::new(Inner {
            connection,
            sessions,
            target,
            size,
            patience,
            suspicion,
            counters,
        })))
    }

    /// Which database it is.
    pub fn target(&self) -> &Target {
        &self.0.target
    }

    /// How long a request waits for a connection.
    pub fn patience(&self) -> Duration {
        self.0.patience
    }

    /// For statements outside a transaction.
    pub fn connection(&self) -> &Sessions {
        &self.0.sessions
    }

    /// A connection was given up in the middle of something: the pool looks closer at the others for
    /// a while.
    pub(crate) fn suspect(&self) {
        self.0.suspicion.raise();
    }

    /// Whether an operation failed because its connection was dead. Others may be dead too, so the
    /// pool then checks every connection for a while.
    pub(crate) fn proved_dead(&self, error: &impl DatabaseCause) -> bool {
        let is_lost = error
            .database_cause()
            .is_some_and(error::is_connection_lost);
        if is_lost {
            self.suspect();
        }
        is_lost
    }

    /// Runs an operation, and retries it once if its connection proved dead.
    ///
    /// A pooled connection can die while it is idle, and the first statement on it finds out. Only
    /// operations that are safe to repeat belong here: reads, and the BEGIN of a transaction.
    ///
    /// # Errors
    /// The error of the last attempt.
    pub(crate) async fn retry_once<T, E, F>(&self, operation: impl Fn() -> F) -> Result<T, E>
    where
        E: DatabaseCause,
        F: Future<Output = Result<T, E>>,
    {
        match operation().await {
            Err(error) if self.proved_dead(&error) => {
                tracing::info!(cause = %error, "a database connection was dead; retrying on another");
                // Boxed, because the usual path should not pay for the size of a second future.
                Box::pin(operation()).await
            }
            result => result,
        }
    }

    /// Begins a transaction that will write. On SQLite it takes the write lock at once: a transaction
    /// that reads first and writes later fails if another one wrote in between.
    ///
    /// # Errors
    /// No connection within the acquire timeout, or no write lock within the lock timeout.
    pub async fn begin_write(&self) -> Result<Transaction, DbErr> {
        self.retry_once(|| self.begin()).await
    }

    /// Begins in a task of its own. Were the future of a `begin` dropped before its answer is there,
    /// the session would go back to the pool inside a transaction that nobody knows of, and would
    /// swallow what others write by it.
    async fn begin(&self) -> Result<Transaction, DbErr> {
        let database = self.clone();
        let beginning = async move {
            let place = database.0.sessions.place().await?;
            database.0.sessions.give_one_back();
            let options = TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            };
            let mut begun = pin!(database.0.connection.begin_with_options(options));
            if let Ok(begun) = tokio::time::timeout(BEGIN_LIMIT, begun.as_mut()).await {
                return begun.map(|transaction| Transaction {
                    transaction,
                    _place: place,
                });
            }
            database.suspect();
            Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))
        };
        tokio::spawn(beginning.in_current_span())
            .await
            .unwrap_or_else(|lost| Err(DbErr::Custom(lost.to_string())))
    }

    /// Brings the schema up to date, or, with `migrate` off, only checks it. Then fills the pool
    /// to its minimum.
    ///
    /// # Errors
    /// A schema that is newer than this program, or older where migrating is off; a database that
    /// can't be reached.
    pub async fn prepare(&self, migrate: bool) -> Result<(), MigrateError> {
        self.reach().await?;
        self.0.sessions.give_back();
        if migrate {
            for name in runner::up(&self.0.connection, None).await? {
                tracing::info!(migration = name, "migration applied");
            }
        }
        runner::status(&self.0.connection).await?.check_current()?;
        self.fill().await;
        Ok(())
    }

    /// Looks whether the database lets us in, and whether it may be written. This goes past the
    /// pool, which tries again and again until its time is up and then tells no reason.
    ///
    /// # Errors
    /// What is in the way.
    pub(crate) async fn reach(&self) -> Result<(), DbErr> {
        if self.0.target.is_in_memory() {
            return Ok(());
        }
        if self.0.target.backend() == DbBackend::Sqlite {
            let pool = self.0.connection.get_sqlite_connection_pool();
            let mut connection = self.in_time(pool.connect_options().connect()).await?;
            // SQLite takes a BEGIN IMMEDIATE on a file that is read-only, but no write.
            let written = sqlx::raw_sql("BEGIN IMMEDIATE; PRAGMA user_version = 0; ROLLBACK")
                .execute(&mut connection)
                .await;
            written.and(connection.close().await).map_err(failed)
        } else {
            let pool = self.0.connection.get_postgres_connection_pool();
            let connection = self.in_time(pool.connect_options().connect()).await?;
            connection.close().await.map_err(failed)
        }
    }

    async fn in_time<T>(
        &self,
        connected: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, DbErr> {
        match tokio::time::timeout(self.0.patience, connected).await {
            Ok(connected) => connected.map_err(failed),
            Err(_) => Err(DbErr::Conn(RuntimeErr::Internal(format!(
                "no answer within {}",
                humantime::format_duration(self.0.patience)
            )))),
        }
    }

    /// A lazy pool opens its minimum only in the course of time; this opens it now. A connection
    /// that can't be had is no failure here: the pool tries again when one is needed.
    async fn fill(&self) {
        if self.0.target.backend() == DbBackend::Sqlite {
            let pool = self.0.connection.get_sqlite_connection_pool();
            hold_at_once(self.0.size.min, || pool.acquire()).await;
        } else {
            let pool = self.0.connection.get_postgres_connection_pool();
            hold_at_once(self.0.size.min, || pool.acquire()).await;
        }
    }

    /// Whether the database answers and its schema is the one this program knows.
    ///
    /// # Errors
    /// The reason why not.
    pub async fn check(&self) -> Result<(), MigrateError> {
        runner::status(&self.0.sessions).await?.check_current()
    }

    pub fn statistics(&self) -> Statistics {
        let (open, idle) = if self.0.target.backend() == DbBackend::Sqlite {
            let pool = self.0.connection.get_sqlite_connection_pool();
            (pool.size(), pool.num_idle())
        } else {
            let pool = self.0.connection.get_postgres_connection_pool();
            (pool.size(), pool.num_idle())
        };
        let idle = idle + self.0.sessions.kept();
        let idle = u32::try_from(idle).unwrap_or(u32::MAX).min(open);
        Statistics {
            backend: backend_name(self.0.target.backend()),
            min: self.0.size.min,
            max: self.0.size.max,
            open,
            idle,
            in_use: open - idle,
            timed_out: self.0.counters.timed_out.load(Ordering::Relaxed),
            statements: self.0.counters.statements.load(Ordering::Relaxed),
        }
    }

    /// Notes that a request gave up waiting for a connection.
    pub fn count_timeout(&self) {
        self.0.counters.timed_out.fetch_add(1, Ordering::Relaxed);
    }

    /// Closes the pool: waits for connections in use to come back, but not beyond `limit`.
    pub async fn close(&self, limit: Duration) {
        self.0.sessions.give_back();
        match tokio::time::timeout(limit, self.0.connection.close_by_ref()).await {
            Ok(Ok(())) => tracing::info!("database pool closed"),
            Ok(Err(cause)) => tracing::warn!(%cause, "database pool closed with an error"),
            Err(_) => tracing::warn!(
                in_use = self.statistics().in_use,
                "database pool not closed in time"
            ),
        }
    }
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(error.into()))
}

fn backend_name(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Sqlite => "sqlite",
        _ => "postgresql",
    }
}

async fn hold_at_once<T, F: Future<Output = T>>(count: u32, acquire: impl Fn() -> F) {
    drop(futures_util::future::join_all((0..count).map(|_| acquire())).await);
}
