//! The database: a pool of connections, the statements and transactions that run on it, and what the
//! pool counts.
//!
//! It imports `error` and the `migration` crate, which opens the pool and brings the schema up to date.
//! Start with [`Database`]; queries take its [`Connections`] or a [`Transaction`].

mod connections;
pub(crate) mod errors;
mod file;
mod guards;
mod hosts;
mod idle_stack;
mod limited_rows;
mod log_position;
mod pooler;
mod probe;
mod replicas;
mod statistics;
mod transaction;
mod writers;

use std::{
    iter,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use migration::{
    database::{
        connection::{self, PoolSize, Target, TargetError},
        hooks::Distrust,
        limits::SessionLimits,
        settings::DatabaseSettings,
    },
    runner::{self, MigrateError},
};
use prometheus::proto::MetricFamily;
use sea_orm::{
    DatabaseConnection, DbBackend, DbErr, RuntimeErr,
    sqlx::{self, ConnectOptions, Connection, sqlite::SqliteConnectOptions},
};

use crate::{error::DatabaseCause, memory::RequestMemory};
pub use connections::Connections;
use file::DatabaseFile;
use guards::Guards;
use hosts::HostWatch;
pub(crate) use limited_rows::{PartialRows, RowLimit};
pub(crate) use log_position::LogPosition;
use probe::Probe;
pub use replicas::ReplicaError;
pub(crate) use replicas::{ReadOutcome, Replica, Replicas, replica_target};
pub use statistics::PoolStatistics;
use statistics::{CONTENDED, PoolCounters};
use tokio::sync::{Notify, Semaphore};
use tokio_util::task::AbortOnDropHandle;
pub use transaction::Transaction;

/// How often all connections may be replaced. While no server takes writes, every write asks for it.
const REPLACE_INTERVAL: Duration = Duration::from_secs(1);

/// The pool of connections. Clones share one pool.
#[derive(Clone, Debug)]
pub struct Database {
    inner: Arc<DatabaseInner>,
    connections: Connections,
}

#[derive(Debug)]
struct DatabaseInner {
    pool: DatabaseConnection,
    writers: Arc<Semaphore>,
    probe: Option<Probe>,
    guards: Guards,
    _following: Option<AbortOnDropHandle<()>>,
    target: Target,
    settings: DatabaseSettings,
    size: PoolSize,
    limits: SessionLimits,
    distrust: Distrust,
    counters: Arc<PoolCounters>,
    written: Notify,
}

impl Database {
    /// Opens the pool that the settings describe. No connection is made yet.
    ///
    /// # Errors
    /// Settings that name no database.
    pub fn open(settings: &DatabaseSettings) -> Result<Self, TargetError> {
        let target = Target::from_settings(settings)?;
        let size = PoolSize::from_settings(settings, &target);
        let distrust = Distrust::default();
        let mut pool = connection::open_with_distrust(settings, &target, size, &distrust);
        let counters = Arc::new(PoolCounters::new(backend_name(target.backend())));
        let counted = Arc::clone(&counters);
        pool.set_metric_callback(move |info| {
            counted.record_statement(info.statement, info.elapsed, info.failed);
        });
        let guards = Guards {
            file: DatabaseFile::of(&target).map(Arc::new),
            hosts: target
                .hosts()
                .map(|_| HostWatch::new(settings.db_acquire_timeout)),
        };
        let connections = Connections::new(
            &pool,
            size,
            settings,
            &distrust,
            Arc::clone(&counters),
            guards.clone(),
        );
        let probe = Probe::open(settings, &target, &distrust, &counters, &guards);
        let following = guards
            .hosts
            .as_ref()
            .zip(target.hosts())
            .map(|(watch, hosts)| {
                let pools = iter::once(&pool).chain(probe.as_ref().map(Probe::pool));
                let pools = pools.map(|pool| pool.get_postgres_connection_pool().clone());
                watch.follow(hosts.clone(), pools.collect(), distrust.clone())
            });
        tracing::info!(
            backend = backend_name(target.backend()),
            host = target.host(),
            database = target.database(),
            min = size.min,
            max = size.max,
            "database pool opened"
        );
        let inner = Arc::new(DatabaseInner {
            pool,
            writers: writers::permits(size.max),
            probe,
            guards,
            _following: following,
            target,
            settings: settings.clone(),
            size,
            limits: SessionLimits::of(settings),
            distrust,
            counters,
            written: Notify::new(),
        });
        Ok(Self { inner, connections })
    }

    /// The same database for one request, whose reads are limited and reserve their memory. If the request only reads, a
    /// statement outside a transaction that met a dead connection is repeated once, on another.
    pub(crate) fn for_request(&self, memory: RequestMemory, only_reads: bool) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            connections: self.connections.for_request(memory, only_reads),
        }
    }

    /// Connections for reads, also of a request that writes: a statement that met a dead connection is repeated once, on
    /// another.
    pub(crate) fn reader(&self) -> Connections {
        self.connections.repeating()
    }

    /// The memory of the request that this is for.
    pub(crate) fn request_memory(&self) -> Option<&RequestMemory> {
        self.connections.request_memory()
    }

    /// The same database, of which a replica is read.
    pub(crate) fn reading_from(&self, replica: &Replica) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            connections: replica.connections().in_place_of(&self.connections),
        }
    }

    /// Where the primary's log ends: after all that is committed.
    pub(crate) async fn end_of_log(&self) -> Result<LogPosition, DbErr> {
        log_position::end_of_log(&self.connections).await
    }

    /// Up to where this standby has replayed the log of its primary; `None` if it is none.
    pub(crate) async fn end_of_replay(&self) -> Result<Option<LogPosition>, DbErr> {
        log_position::end_of_replay(&self.connections).await
    }

    pub fn target(&self) -> &Target {
        &self.inner.target
    }

    /// How long a request waits for a connection.
    pub fn acquire_timeout(&self) -> Duration {
        self.inner.settings.db_acquire_timeout
    }

    /// For statements outside a transaction.
    pub fn connection(&self) -> &Connections {
        &self.connections
    }

    /// Makes the pool check every connection for a while, because one was abandoned in the middle of
    /// a statement or proved dead.
    pub(crate) fn distrust_connections(&self) {
        self.inner.distrust.raise();
    }

    /// Runs work that uses a connection, or drops it at the limit: then the result is `None`.
    ///
    /// Work that is dropped in the middle leaves its connection in an unknown state. The pool has to know
    /// that before it gets the connection back, so the work is pinned here and outlives the timeout.
    pub(crate) async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = pin!(work);
        let result = tokio::time::timeout(limit, work.as_mut()).await;
        if result.is_err() {
            self.distrust_connections();
        }
        result.ok()
    }

    /// Wakes who waits for changes: one was committed by this process.
    pub(crate) fn announce_change(&self) {
        self.inner.written.notify_one();
    }

    /// Waits for the next change that this process commits. One that nothing waited for counts.
    pub(crate) async fn next_change(&self) {
        self.inner.written.notified().await;
    }

    /// Whether an operation failed because its connection was dead, or led to a server that takes no
    /// writes. The others are distrusted then, and in the latter case replaced.
    pub(crate) fn proved_dead(&self, error: &impl DatabaseCause) -> bool {
        let Some(cause) = error.database_cause() else {
            return false;
        };
        if errors::is_read_only(cause) {
            self.replace_connections();
            return true;
        }
        let is_lost = errors::is_connection_lost(cause);
        if is_lost {
            self.distrust_connections();
        }
        is_lost
    }

    /// Has every connection replaced: its server takes no writes, and another may.
    fn replace_connections(&self) {
        self.inner.distrust.replace_all(REPLACE_INTERVAL);
        self.distrust_connections();
    }

    /// Runs an operation, and retries it once if its connection proved dead.
    ///
    /// A pooled connection can die while it is idle, and the first statement on it finds out. Only
    /// operations that are safe to repeat belong here: the BEGIN of a transaction, a change that is one such statement, and
    /// what reads in a snapshot. Other reads repeat each statement by itself ([`Self::reader`]).
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
                self.inner.counters.count_reconnection(&error);
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
        match self.inner.target.backend() {
            DbBackend::Sqlite => runner::look(&self.inner.settings, &self.inner.target).await,
            _ => runner::status(&self.connections).await,
        }
    }

    /// Brings the schema up to date or, without `migrate`, only checks it. Then opens the pool's
    /// minimum of connections.
    ///
    /// # Errors
    /// Another application's database; a schema that is newer than this program, or older and not to be
    /// migrated; a database that can't be reached.
    pub async fn prepare(&self, migrate: bool) -> Result<(), MigrateError> {
        if self.inner.target.backend() == DbBackend::Sqlite {
            self.look().await?.check_known()?;
        }
        self.try_connect().await?;
        self.keep_to_file();
        if self.inner.target.backend() == DbBackend::Postgres {
            self.check_pooler().await?;
        }
        self.connections.return_all();
        if migrate {
            for name in runner::up(&self.inner.pool, None).await? {
                tracing::info!(migration = name, "migration applied");
            }
        }
        runner::status(&self.inner.pool).await?.check_current()?;
        self.connections.open_at_least(self.inner.size.min).await;
        Ok(())
    }

    /// From now on, another SQLite file than the one that is there now is refused, and none is created.
    fn keep_to_file(&self) {
        if let Some(file) = &self.inner.guards.file {
            file.remember();
            let pool = self.inner.pool.get_sqlite_connection_pool();
            let options = SqliteConnectOptions::clone(&pool.connect_options());
            pool.set_connect_options(options.create_if_missing(false));
        }
    }

    /// Makes one connection outside the pool, and checks that a SQLite file can be written. The pool
    /// itself would retry until its timeout and then hide the reason.
    ///
    /// # Errors
    /// Why the database can't be used.
    pub(crate) async fn try_connect(&self) -> Result<(), DbErr> {
        if self.inner.target.is_in_memory() {
            return Ok(());
        }
        if self.inner.target.backend() == DbBackend::Sqlite {
            let pool = self.inner.pool.get_sqlite_connection_pool();
            let mut connection = self.in_time(pool.connect_options().connect()).await?;
            // SQLite accepts BEGIN IMMEDIATE on a read-only file, but no write.
            let written = sqlx::raw_sql("BEGIN IMMEDIATE; PRAGMA user_version = 0; ROLLBACK")
                .execute(&mut connection)
                .await;
            written
                .and(connection.close().await)
                .map_err(connection_error)
        } else {
            self.inner.guards.check().await?;
            let pool = self.inner.pool.get_postgres_connection_pool();
            let mut connection = self.in_time(pool.connect_options().connect()).await?;
            self.in_time(self.inner.limits.set(&mut connection)).await?;
            connection.close().await.map_err(connection_error)
        }
    }

    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, DbErr> {
        match tokio::time::timeout(self.acquire_timeout(), work).await {
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
        runner::status(&self.connections).await?.check_current()
    }

    pub fn statistics(&self) -> PoolStatistics {
        let (open, idle) = self.connections.open_and_idle();
        PoolStatistics {
            backend: backend_name(self.inner.target.backend()),
            min: self.inner.size.min,
            max: self.inner.size.max,
            open,
            idle,
            in_use: open - idle,
            timed_out: self.inner.counters.timed_out.load(Ordering::Relaxed),
            statements: self.inner.counters.statements(),
        }
    }

    /// What is measured of statements.
    pub(crate) fn collect_metrics(&self) -> Vec<MetricFamily> {
        self.inner.counters.collect()
    }

    /// Counts a change that is tried again.
    pub(crate) fn count_retry(&self) {
        self.inner.counters.count_retry(CONTENDED);
    }

    /// Counts a request that gave up waiting for a connection.
    pub fn count_timeout(&self) {
        self.inner
            .counters
            .timed_out
            .fetch_add(1, Ordering::Relaxed);
    }

    /// Closes the pool. Waits for connections in use, at most for `timeout`.
    pub async fn close(&self, timeout: Duration) {
        self.connections.return_all();
        let close = async {
            if let Some(probe) = &self.inner.probe {
                probe.close().await?;
            }
            self.inner.pool.close_by_ref().await
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
