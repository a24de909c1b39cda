//! The idle connections of one pool, the most recently used on top, and the statements that run on
//! them.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{
    TryStreamExt,
    future::{BoxFuture, join_all},
};
use migration::database::hooks::Distrust;
use sea_orm::{
    ConnAcquireErr, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, Values,
    sqlx::{
        self, AssertSqlSafe, Executor, IntoArguments, Pool, Postgres, Sqlite, pool::PoolConnection,
        query::Query,
    },
};
use sea_query_sqlx::SqlxValues;
use tracing::{Dispatch, instrument::WithSubscriber};

use super::limited_rows::{LimitedRows, MeasuredRow};

/// How long a connection may be idle on the stack.
pub(super) const MAX_IDLE: Duration = Duration::from_secs(1);
/// How long a connection may go without the pool's checks, however busy it is.
const MAX_UNCHECKED: Duration = Duration::from_secs(5);

pub(super) struct IdleStack<DB: sqlx::Database> {
    pool: Pool<DB>,
    distrust: Distrust,
    connections: Mutex<Vec<Checked<DB>>>,
}

/// A database whose connections can be kept on a stack.
pub(super) trait StackDatabase: sqlx::Database {
    /// Whether a statement ends when the rest of its rows is not read.
    const STOPS_WITH_ITS_READER: bool;
}

impl StackDatabase for Postgres {
    const STOPS_WITH_ITS_READER: bool = false;
}

impl StackDatabase for Sqlite {
    const STOPS_WITH_ITS_READER: bool = true;
}

/// A connection that the pool has checked.
struct Checked<DB: sqlx::Database> {
    connection: PoolConnection<DB>,
    checked_at: Instant,
    last_used: Instant,
}

impl<DB: sqlx::Database> IdleStack<DB> {
    pub(super) fn new(pool: &Pool<DB>, distrust: &Distrust) -> Self {
        Self {
            pool: pool.clone(),
            distrust: distrust.clone(),
            connections: Mutex::default(),
        }
    }

    /// Has the pool check the connections, because one of them proved dead.
    pub(super) fn distrust(&self) {
        self.distrust.raise();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Checked<DB>>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How many connections are open, and how many of them are idle, here or in the pool.
    pub(super) fn open_and_idle(&self) -> (u32, u32) {
        let open = self.pool.size();
        let idle = u32::try_from(self.pool.num_idle() + self.lock().len()).unwrap_or(u32::MAX);
        (open, idle.min(open))
    }

    /// Opens so many connections. Errors are ignored: the pool tries again when it needs a connection.
    pub(super) async fn open_at_least(&self, count: u32) {
        drop(join_all((0..count).map(|_| self.pool.acquire())).await);
    }

    pub(super) fn return_one(&self) {
        drop(self.lock().pop());
    }

    pub(super) fn return_idle_for(&self, at_least: Duration) {
        self.lock()
            .retain(|idle| idle.last_used.elapsed() < at_least);
    }

    /// Closes idle connections until no more than `count` are open. Connections in use stay.
    pub(super) async fn close_beyond(&self, count: u32) {
        while self.pool.size() > count
            && let Some(idle) = self.pool.try_acquire()
        {
            // A connection that can't say goodbye is dropped.
            let _ = tokio::time::timeout(MAX_IDLE, idle.close()).await;
        }
    }

    /// Takes a trusted connection from the stack, or one from the pool if there is none.
    async fn take(&self) -> Result<Checked<DB>, DbErr> {
        match self.pop_trusted() {
            Some(connection) => Ok(connection),
            None => Box::pin(self.acquire()).await,
        }
    }

    fn pop_trusted(&self) -> Option<Checked<DB>> {
        loop {
            let connection = self.lock().pop()?;
            let now = Instant::now();
            let idle = now.duration_since(connection.last_used);
            let unchecked = now.duration_since(connection.checked_at);
            let trusted = idle < MAX_IDLE
                && unchecked < MAX_UNCHECKED
                && !self.distrust.raised_within(idle)
                && !self.distrust.replaces(unchecked);
            if trusted {
                return Some(connection);
            }
        }
    }

    async fn acquire(&self) -> Result<Checked<DB>, DbErr> {
        let connection = self.pool.acquire().await.map_err(acquire_error)?;
        let now = Instant::now();
        Ok(Checked {
            connection,
            checked_at: now,
            last_used: now,
        })
    }

    fn push(&self, connection: Checked<DB>) {
        if !self.pool.is_closed() {
            self.lock().push(Checked {
                last_used: Instant::now(),
                ..connection
            });
        }
    }
}

impl<DB> IdleStack<DB>
where
    DB: StackDatabase,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    SqlxValues: IntoArguments<DB>,
    DB::Row: MeasuredRow,
    QueryResult: From<DB::Row>,
    ExecResult: From<DB::QueryResult>,
{
    /// Adds the rows of a statement to `rows`, up to their limit.
    pub(super) async fn fetch_all<'m>(
        &self,
        statement: &Statement,
        rows: LimitedRows<'m>,
    ) -> Result<LimitedRows<'m>, DbErr> {
        let mut taken = self.take().await?;
        let rows = taken.fetch_all(statement, rows).await?;
        if rows.limit.is_none() || DB::STOPS_WITH_ITS_READER {
            self.push(taken);
        } else {
            // Closed, because it would have to receive all that is left.
            drop(taken.connection.detach());
        }
        Ok(rows)
    }

    /// Begins a transaction by this statement. Its connection is closed unless [`Self::end`] gets it back.
    pub(super) async fn begin(&self, sql: &'static str) -> Result<Held<DB>, DbErr> {
        let mut held = Held(Some(self.take().await?));
        held.control(sql).await?;
        Ok(held)
    }

    /// Ends the transaction, which wrote nothing, unless it is over.
    pub(super) async fn end(&self, mut held: Held<DB>) -> Result<(), DbErr> {
        held.control("COMMIT").await?;
        if let Some(connection) = held.0.take() {
            self.push(connection);
        }
        Ok(())
    }

    pub(super) async fn fetch_one(
        &self,
        statement: &Statement,
    ) -> Result<Option<QueryResult>, DbErr> {
        let row = self.run(statement, |connection, statement| {
            connection.fetch_optional(query::<DB>(statement))
        });
        Ok(row.await?.map(QueryResult::from))
    }

    pub(super) async fn execute(&self, statement: &Statement) -> Result<ExecResult, DbErr> {
        let result = self.run(statement, |connection, statement| {
            connection.execute(query::<DB>(statement))
        });
        Ok(result.await?.into())
    }

    /// Uses the simple protocol, which takes several statements at once, but no values.
    pub(super) async fn execute_unprepared(
        &self,
        statement: &Statement,
    ) -> Result<ExecResult, DbErr> {
        let result = self.run(statement, |connection, statement| {
            connection.execute(sqlx::raw_sql(AssertSqlSafe(statement.sql.clone())))
        });
        Ok(result.await?.into())
    }

    /// Runs a statement, and puts its connection on the stack if it succeeded.
    ///
    /// The driver enters the request's span twice for each row, though it logs nothing there but the
    /// server's notices. So it runs without a subscriber.
    async fn run<T>(
        &self,
        statement: &Statement,
        send: impl for<'c> FnOnce(
            &'c mut DB::Connection,
            &'c Statement,
        ) -> BoxFuture<'c, Result<T, sqlx::Error>>,
    ) -> Result<T, DbErr> {
        let mut taken = self.take().await?;
        let result = send(&mut taken.connection, statement)
            .with_subscriber(Dispatch::none())
            .await;
        let result = result.map_err(query_error)?;
        self.push(taken);
        Ok(result)
    }
}

impl<DB> Checked<DB>
where
    DB: StackDatabase,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    SqlxValues: IntoArguments<DB>,
    DB::Row: MeasuredRow,
{
    /// Adds the rows of a statement to `rows`, up to their limit. Without a subscriber, as in [`IdleStack::run`].
    async fn fetch_all<'m>(
        &mut self,
        statement: &Statement,
        mut rows: LimitedRows<'m>,
    ) -> Result<LimitedRows<'m>, DbErr> {
        let read = async {
            let mut stream = self.connection.fetch(query::<DB>(statement));
            while let Some(row) = stream.try_next().await? {
                rows.push(row);
                if rows.limit.is_some() {
                    break;
                }
            }
            Ok(())
        };
        let read = read.with_subscriber(Dispatch::none()).await;
        read.map_err(query_error)?;
        Ok(rows)
    }
}

/// A connection in a transaction. It is closed when it is dropped.
pub(super) struct Held<DB: sqlx::Database>(Option<Checked<DB>>);

impl<DB> Held<DB>
where
    DB: StackDatabase,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    SqlxValues: IntoArguments<DB>,
    DB::Row: MeasuredRow,
{
    /// Adds the rows of a statement to `rows`. If they reach their limit, the transaction may be over.
    pub(super) async fn fetch_all<'m>(
        &mut self,
        statement: &Statement,
        rows: LimitedRows<'m>,
    ) -> Result<LimitedRows<'m>, DbErr> {
        let closed = || DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed);
        let connection = self.0.as_mut().ok_or_else(closed)?;
        let rows = connection.fetch_all(statement, rows).await?;
        if rows.limit.is_some() && !DB::STOPS_WITH_ITS_READER {
            self.close();
        }
        Ok(rows)
    }

    async fn control(&mut self, sql: &'static str) -> Result<(), DbErr> {
        let Some(Checked { connection, .. }) = &mut self.0 else {
            return Ok(());
        };
        let done = connection.execute(sqlx::raw_sql(sql)).await;
        done.map(drop).map_err(query_error)
    }
}

impl<DB: sqlx::Database> Held<DB> {
    fn close(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.connection.detach());
        }
    }
}

impl<DB: sqlx::Database> Drop for Held<DB> {
    fn drop(&mut self) {
        self.close();
    }
}

fn query_error(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

fn query<DB: sqlx::Database>(statement: &Statement) -> Query<'_, DB, SqlxValues>
where
    SqlxValues: IntoArguments<DB>,
{
    let values = statement.values.clone().unwrap_or(Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql.as_str()), SqlxValues(values))
}

/// The same conversion as SeaORM's, which is private.
fn acquire_error(error: sqlx::Error) -> DbErr {
    match error {
        sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
        sqlx::Error::PoolClosed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
        error => DbErr::Conn(RuntimeErr::SqlxError(error.into())),
    }
}

impl<DB: sqlx::Database> fmt::Debug for IdleStack<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdleStack")
            .field("len", &self.lock().len())
            .finish_non_exhaustive()
    }
}
