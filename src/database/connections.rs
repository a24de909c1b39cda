//! Connections that stay checked out of the pool between statements.
//!
//! When a connection is returned to a pool of sqlx, the pool pings it. The ping is a round trip after
//! each statement, a fifth of the cost of a small read, and it can't be switched off. So a connection
//! whose statement succeeded is not returned: it is pushed onto an [`IdleStack`], from which the next
//! statement takes it. It is returned to the pool, with all its checks, after an error, when it has
//! been idle for a second, and every few seconds however busy it is.
//!
//! The pool can't hand out a connection that is on the stack. So each statement and each transaction
//! first takes a permit, of which there are as many as connections, and a transaction returns one idle
//! connection before it asks the pool. Then nothing waits for the pool while a connection is idle.
//!
//! Connections for reads repeat a statement once whose connection died while it was idle.
//!
//! The stack can be deleted once sqlx releases a connection without a ping. The ping stands in
//! `return_to_pool` of sqlx-core's `pool/connection.rs`, "a band-aid" until connections recover from
//! a dropped future. Such connections, or an option such as `PoolOptions::test_on_release(false)`,
//! would do.

mod snapshot;

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use migration::database::{connection::PoolSize, hooks::Distrust, settings::DatabaseSettings};
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult,
    Statement,
    sqlx::{Postgres, Sqlite},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    errors,
    guards::Guards,
    idle_stack::{IdleStack, MAX_IDLE},
    limited_rows::{LimitedRows, MAX_ROWS_BYTES, PartialRows},
    statistics::PoolCounters,
};
use crate::memory::RequestMemory;

/// Runs statements outside a transaction. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Connections {
    inner: Arc<ConnectionsInner>,
    /// Where the rows are counted that a request reads.
    memory: Option<RequestMemory>,
    /// Whether a statement is repeated once, on another connection, if its own proved dead.
    repeats: bool,
}

#[derive(Debug)]
struct ConnectionsInner {
    permits: Arc<Semaphore>,
    size: PoolSize,
    /// The most connections in use at once since the pool was last shrunk.
    peak: AtomicU32,
    acquire_timeout: Duration,
    counters: Arc<PoolCounters>,
    guards: Guards,
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    Postgres(IdleStack<Postgres>),
    Sqlite(IdleStack<Sqlite>),
}

/// The same expression for the stack of either backend.
macro_rules! on_stack {
    ($backend:expr, $stack:ident => $expression:expr) => {
        match $backend {
            Backend::Postgres($stack) => $expression,
            Backend::Sqlite($stack) => $expression,
        }
    };
}

/// Runs a statement by a method of the backend's stack, and counts it.
macro_rules! run {
    ($connections:ident, $method:ident, $statement:expr $(, $rows:expr)?) => {{
        let statement = $statement;
        let inner = &*$connections.inner;
        let attempt = async || {
            let _permit = $connections.permit().await?;
            let started = Instant::now();
            let result = on_stack!(&inner.backend, stack => stack.$method(&statement $(, $rows)?).await);
            inner
                .counters
                .record_statement(&statement, started.elapsed(), result.is_err());
            result
        };
        match attempt().await {
            // Boxed, because the usual path should not pay for the size of a second future.
            Err(error) if $connections.repeats_after(&error) => Box::pin(attempt()).await,
            result => result,
        }
    }};
}

/// The right to use one connection while it is held.
pub(super) type ConnectionPermit = OwnedSemaphorePermit;

impl Connections {
    pub(super) fn new(
        connection: &DatabaseConnection,
        size: PoolSize,
        settings: &DatabaseSettings,
        distrust: &Distrust,
        counters: Arc<PoolCounters>,
        guards: Guards,
    ) -> Self {
        let backend = match connection.get_database_backend() {
            DbBackend::Sqlite => Backend::Sqlite(IdleStack::new(
                connection.get_sqlite_connection_pool(),
                distrust,
            )),
            _ => Backend::Postgres(IdleStack::new(
                connection.get_postgres_connection_pool(),
                distrust,
            )),
        };
        let inner = Arc::new(ConnectionsInner {
            permits: Arc::new(Semaphore::new(
                usize::try_from(size.max).unwrap_or(usize::MAX),
            )),
            size,
            peak: AtomicU32::default(),
            acquire_timeout: settings.db_acquire_timeout,
            counters,
            guards,
            backend,
        });
        tokio::spawn(reap(Arc::downgrade(&inner), settings.db_idle_timeout));
        Self {
            inner,
            memory: None,
            repeats: false,
        }
    }

    /// For a request with this memory. If it only reads, statements are repeated.
    pub(super) fn for_request(&self, memory: RequestMemory, only_reads: bool) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            memory: Some(memory),
            repeats: only_reads,
        }
    }

    /// The same connections for reads: statements are repeated.
    pub(super) fn repeating(&self) -> Self {
        Self {
            repeats: true,
            ..self.clone()
        }
    }

    /// For the same request as others are, which answer it if these are dead.
    pub(super) fn in_place_of(&self, others: &Self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            memory: others.memory.clone(),
            repeats: false,
        }
    }

    /// Whether a statement that failed is to be repeated, because its connection died while it was idle: clients need not
    /// know. The others are distrusted then.
    fn repeats_after(&self, error: &DbErr) -> bool {
        let repeats = self.repeats && errors::is_connection_lost(error);
        if repeats {
            on_stack!(&self.inner.backend, stack => stack.distrust());
            self.inner.counters.count_reconnection(error);
        }
        repeats
    }

    pub(super) fn request_memory(&self) -> Option<&RequestMemory> {
        self.memory.as_ref()
    }

    /// Gives the memory back of all rows that the request has read.
    pub(crate) fn release_memory(&self) {
        if let Some(memory) = &self.memory {
            let _ = memory.set(0);
        }
    }

    /// The rows of a statement, up to about so many bytes, and at least one.
    pub(crate) async fn query_part(
        &self,
        statement: Statement,
        max_bytes: usize,
    ) -> Result<PartialRows, DbErr> {
        self.query_limited(statement, max_bytes).await?.part()
    }

    /// The rows of a page: as many as a response may contain.
    pub(crate) async fn query_page(&self, statement: Statement) -> Result<PartialRows, DbErr> {
        self.query_part(statement, MAX_ROWS_BYTES).await
    }

    async fn query_limited(
        &self,
        statement: Statement,
        max_bytes: usize,
    ) -> Result<LimitedRows<'_>, DbErr> {
        run!(
            self,
            fetch_all,
            statement,
            LimitedRows::new(self.memory.as_ref(), max_bytes)
        )
    }

    /// Waits for a permit as long as the pool would wait for a connection.
    ///
    /// # Errors
    /// No permit in time, or a database that is not the right one.
    pub(super) async fn permit(&self) -> Result<ConnectionPermit, DbErr> {
        self.inner.guards.check().await?;
        let started = Instant::now();
        let permit = acquire(&self.inner.permits, self.inner.acquire_timeout).await;
        let waited = started.elapsed().as_secs_f64();
        self.inner.counters.waits.observe(waited);
        let permit = permit?;
        self.inner
            .peak
            .fetch_max(self.inner.in_use(), Ordering::Relaxed);
        Ok(permit)
    }

    /// How many connections are open, and how many of them are idle.
    pub(super) fn open_and_idle(&self) -> (u32, u32) {
        on_stack!(&self.inner.backend, stack => stack.open_and_idle())
    }

    /// Opens so many connections. A lazy pool would open its minimum only over time.
    pub(super) async fn open_at_least(&self, count: u32) {
        on_stack!(&self.inner.backend, stack => stack.open_at_least(count).await);
    }

    /// Returns one idle connection to the pool, so that the pool has one to hand out.
    pub(super) fn return_one(&self) {
        on_stack!(&self.inner.backend, stack => stack.return_one());
    }

    /// Returns all idle connections to the pool.
    pub(super) fn return_all(&self) {
        self.inner.return_idle_for(Duration::ZERO);
    }
}

/// Waits for a permit, at most for `timeout`.
pub(super) async fn acquire(
    permits: &Arc<Semaphore>,
    timeout: Duration,
) -> Result<ConnectionPermit, DbErr> {
    match Arc::clone(permits).try_acquire_owned() {
        Ok(permit) => Ok(permit),
        // Boxed, because the usual path should not pay for the size of this future.
        Err(_) => Box::pin(wait(Arc::clone(permits), timeout)).await,
    }
}

async fn wait(permits: Arc<Semaphore>, timeout: Duration) -> Result<ConnectionPermit, DbErr> {
    match tokio::time::timeout(timeout, permits.acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)),
        Err(_) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)),
    }
}

impl ConnectionsInner {
    fn return_idle_for(&self, at_least: Duration) {
        on_stack!(&self.backend, stack => stack.return_idle_for(at_least));
    }

    fn in_use(&self) -> u32 {
        let free = u32::try_from(self.permits.available_permits()).unwrap_or(u32::MAX);
        self.size.max.saturating_sub(free)
    }

    /// Closes the idle connections beyond those that were in use at once since the last call. The pool
    /// itself would keep them: it hands out the one that has been idle for longest, so that a few
    /// statements a second use all of them.
    async fn shrink(&self) {
        let needed = self.peak.swap(self.in_use(), Ordering::Relaxed);
        let needed = needed.max(self.size.min);
        on_stack!(&self.backend, stack => stack.close_beyond(needed).await);
    }
}

/// Returns connections that have been idle for too long, and closes those that are not needed, until the
/// last clone is dropped.
async fn reap(connections: Weak<ConnectionsInner>, idle_timeout: Duration) {
    let mut shrunk_at = Instant::now();
    loop {
        tokio::time::sleep(MAX_IDLE).await;
        let Some(connections) = connections.upgrade() else {
            return;
        };
        connections.return_idle_for(MAX_IDLE);
        if shrunk_at.elapsed() >= idle_timeout {
            connections.shrink().await;
            shrunk_at = Instant::now();
        }
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Connections {
    fn get_database_backend(&self) -> DbBackend {
        match &self.inner.backend {
            Backend::Postgres(_) => DbBackend::Postgres,
            Backend::Sqlite(_) => DbBackend::Sqlite,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        run!(self, execute, statement)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let statement = Statement::from_string(self.get_database_backend(), sql);
        run!(self, execute_unprepared, statement)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        run!(self, fetch_one, statement)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.query_limited(statement, MAX_ROWS_BYTES).await?.whole()
    }
}
