//! The database: a pool of connections, the statements and transactions that run on it, and what the
//! pool counts.
//!
//! It imports `error` and the `migration` crate, which opens the pool and brings the schema up to date.
//! Start with [`Database`]; queries take its [`Connections`] or a [`Transaction`].

mod connections;
pub(crate) mod errors;
mod idle_stack;
mod probe;
mod statistics;
mod transaction;
mod writers;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use migration::{
    database::{
        connection::{self, PoolSize, Target, TargetError},
        hooks::Distrust,
        settings::DatabaseSettings,
    },
    runner::{self, MigrateError},
};
use sea_orm::{
    DatabaseConnection, DbBackend, DbErr, RuntimeErr,
    sqlx::{self, ConnectOptions, Connection},
};

use crate::error::DatabaseCause;
pub use connections::Connections;
use probe::Probe;
use statistics::PoolCounters;
pub use statistics::PoolStatistics;
use tokio::sync::Semaphore;
pub use transaction::Transaction;

/// The pool of connections. Clones share one pool.
#[derive(Clone, Debug)]
pub struct Database(Arc<DatabaseInner>);

#[derive(Debug)]
struct DatabaseInner {
    pool: DatabaseConnection,
    connections: Connections,
    writers: Arc<Semaphore>,
    probe: Option<Probe>,
    target: Target,
    settings: DatabaseSettings,
    size: PoolSize,
    distrust: Distrust,
    counters: Arc<PoolCounters>,
}

/// Why the pool can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("the database {database} can't be opened: {cause}")]
    Refused { database: String, cause: DbErr },
}

impl Database {
    /// Opens the pool that the settings describe. No connection is made yet.
    ///
    /// # Errors
    /// Settings that name no database.
    pub async fn open(settings: &DatabaseSettings) -> Result<Self, OpenError> {
        let target = Target::from_settings(settings)?;
        let size = PoolSize::from_settings(settings, &target);
        let distrust = Distrust::default();
        let refused = |cause| OpenError::Refused {
            database: target.database().to_owned(),
            cause,
        };
        let mut pool = connection::open_with_distrust(settings, &target, size, &distrust)
            .await
            .map_err(refused)?;
        let counters = Arc::new(PoolCounters::default());
        let counted = Arc::clone(&counters);
        pool.set_metric_callback(move |info| {
            counted.record_statement(info.statement, info.elapsed, info.failed);
        });
        let connections = Connections::new(&pool, size, settings, &distrust, Arc::clone(&counters));
        let probe = Probe::open(settings, &target, &distrust, &counters)
            .await
            .map_err(refused)?;
        tracing::info!(
            backend = backend_name(target.backend()),
            host = target.host(),
            database = target.database(),
            min = size.min,
            max = size.max,
            "database pool opened"
        );
        Ok(Self(Arc::new(DatabaseInner {
            pool,
            connections,
            writers: writers::permits(size.max),
            probe,
            target,
            settings: settings.clone(),
            size,
            distrust,
            counters,
        })))
    }

    pub fn target(&self) -> &Target {
        &self.0.target
    }

    /// How long a request waits for a connection.
    pub fn acquire_timeout(&self) -> Duration {
        self.0.settings.db_acquire_timeout
    }

    /// For statements outside a transaction.
    pub fn connection(&self) -> &Connections {
        &self.0.connections
    }

    /// Makes the pool check every connection for a while, because one was abandoned in the middle of
    /// a statement or proved dead.
    pub(crate) fn distrust_connections(&self) {
        self.0.distrust.raise();
    }

    /// Whether an operation failed because its connection was dead. The others are distrusted then.
    pub(crate) fn proved_dead(&self, error: &impl DatabaseCause) -> bool {
        let is_lost = error
            .database_cause()
            .is_some_and(errors::is_connection_lost);
        if is_lost {
            self.distrust_connections();
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

    /// Reads the status without the pool, whose connections change the journal mode of a SQLite file.
    ///
    /// # Errors
    /// A database that can't be read.
    pub(crate) async fn look(&self) -> Result<runner::Status, DbErr> {
        runner::look(&self.0.settings, &self.0.target).await
    }

    /// Brings the schema up to date or, without `migrate`, only checks it. Then opens the pool's
    /// minimum of connections.
    ///
    /// # Errors
    /// Another application's database; a schema that is newer than this program, or older and not to be
    /// migrated; a database that can't be reached.
    pub async fn prepare(&self, migrate: bool) -> Result<(), MigrateError> {
        if self.0.target.backend() == DbBackend::Sqlite {
            self.look().await?.check_known()?;
        }
        self.try_connect().await?;
        self.0.connections.return_all();
        if migrate {
            for name in runner::up(&self.0.pool, None).await? {
                tracing::info!(migration = name, "migration applied");
            }
        }
        runner::status(&self.0.pool).await?.check_current()?;
        self.0.connections.open_at_least(self.0.size.min).await;
        Ok(())
    }

    /// Makes one connection outside the pool, and checks that a SQLite file can be written. The pool
    /// itself would retry until its timeout and then hide the reason.
    ///
    /// # Errors
    /// Why the database can't be used.
    pub(crate) async fn try_connect(&self) -> Result<(), DbErr> {
        if self.0.target.is_in_memory() {
            return Ok(());
        }
        if self.0.target.backend() == DbBackend::Sqlite {
            let pool = self.0.pool.get_sqlite_connection_pool();
            let mut connection = self.in_time(pool.connect_options().connect()).await?;
            // SQLite accepts BEGIN IMMEDIATE on a read-only file, but no write.
            let written = sqlx::raw_sql("BEGIN IMMEDIATE; PRAGMA user_version = 0; ROLLBACK")
                .execute(&mut connection)
                .await;
            written
                .and(connection.close().await)
                .map_err(connection_error)
        } else {
            let pool = self.0.pool.get_postgres_connection_pool();
            let connection = self.in_time(pool.connect_options().connect()).await?;
            connection.close().await.map_err(connection_error)
        }
    }

    async fn in_time<T>(
        &self,
        connect: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, DbErr> {
        match tokio::time::timeout(self.acquire_timeout(), connect).await {
            Ok(result) => result.map_err(connection_error),
            Err(_) => Err(DbErr::Conn(RuntimeErr::Internal(format!(
                "no answer within {}",
                humantime::format_duration(self.acquire_timeout())
            )))),
        }
    }

    /// Checks that the database answers and that its schema is the one this program knows.
    ///
    /// # Errors
    /// Why the database can't be used.
    pub async fn check(&self) -> Result<(), MigrateError> {
        runner::status(&self.0.connections).await?.check_current()
    }

    pub fn statistics(&self) -> PoolStatistics {
        let (open, idle) = self.0.connections.open_and_idle();
        PoolStatistics {
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

    /// Counts a request that gave up waiting for a connection.
    pub fn count_timeout(&self) {
        self.0.counters.timed_out.fetch_add(1, Ordering::Relaxed);
    }

    /// Closes the pool. Waits for connections in use, at most for `timeout`.
    pub async fn close(&self, timeout: Duration) {
        self.0.connections.return_all();
        let close = async {
            if let Some(probe) = &self.0.probe {
                probe.close().await?;
            }
            self.0.pool.close_by_ref().await
        };
        match tokio::time::timeout(timeout, close).await {
            Ok(Ok(())) => tracing::info!("database pool closed"),
            Ok(Err(cause)) => tracing::warn!(%cause, "database pool closed with an error"),
            Err(_) => tracing::warn!(
                in_use = self.statistics().in_use,
                "database pool not closed within its timeout"
            ),
        }
    }
}

fn connection_error(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(error.into()))
}

fn backend_name(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Sqlite => "sqlite",
        _ => "postgresql",
    }
}
