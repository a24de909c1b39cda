//! Sessions that are kept at hand from one statement to the next.
//!
//! A pool of sqlx asks every session that comes back to it whether it is well. That is a round trip
//! after each statement, a fifth of what a small read costs. So a statement that went well leaves its
//! session here, where the next one finds it. After a short while it goes through the pool again, with
//! all that is looked at there, and so it does at once where something went wrong.
//!
//! What lies here is not to be had from the pool. So whoever wants a session, for a statement or for a
//! transaction, first has to have one of as many places as there are sessions, and a transaction has
//! one of those that lie here given back before it asks the pool. Then nobody waits for the pool.
//!
//! The driver enters the request's span anew for each row that it reads, twice, though it has nothing
//! to log there but the server's notices. So it runs without a subscriber; what became of a statement
//! is logged here.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use migration::hooks::Suspicion;
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult,
    RuntimeErr, Statement, Values,
    sqlx::{
        self, AssertSqlSafe, Executor, IntoArguments, Pool, Postgres, Sqlite, pool::PoolConnection,
    },
};
use sea_query_sqlx::SqlxValues;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tracing::{Dispatch, instrument::WithSubscriber};

use super::Counters;

/// How long a session may lie here unused.
const UNUSED: Duration = Duration::from_secs(1);
/// How long it may go without a look by the pool, however much it is used.
const UNSEEN: Duration = Duration::from_secs(5);

/// Where statements outside a transaction are sent. Clones share the sessions.
#[derive(Clone, Debug)]
pub struct Sessions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    places: Arc<Semaphore>,
    patience: Duration,
    counters: Arc<Counters>,
    shelf: Either,
}

#[derive(Debug)]
enum Either {
    Postgres(Shelf<Postgres>),
    Sqlite(Shelf<Sqlite>),
}

/// Sessions of one pool, the one that was used last on top.
struct Shelf<DB: sqlx::Database> {
    pool: Pool<DB>,
    suspicion: Suspicion,
    kept: Mutex<Vec<Session<DB>>>,
}

struct Session<DB: sqlx::Database> {
    connection: PoolConnection<DB>,
    /// When the pool last had it.
    seen: Instant,
    used: Instant,
}

/// Leave to have one session for as long as it is held.
pub(super) type Place = OwnedSemaphorePermit;

impl Sessions {
    pub(super) fn new(
        connection: &DatabaseConnection,
        max: u32,
        patience: Duration,
        suspicion: &Suspicion,
        counters: Arc<Counters>,
    ) -> Self {
        let shelf = match connection.get_database_backend() {
            DbBackend::Sqlite => Either::Sqlite(Shelf::new(
                connection.get_sqlite_connection_pool(),
                suspicion,
            )),
            _ => Either::Postgres(Shelf::new(
                connection.get_postgres_connection_pool(),
                suspicion,
            )),
        };
        let inner = Arc::new(Inner {
            places: Arc::new(Semaphore::new(usize::try_from(max).unwrap_or(usize::MAX))),
            patience,
            counters,
            shelf,
        });
        tokio::spawn(tidy(Arc::downgrade(&inner)));
        Self(inner)
    }

    /// Waits for a place as long as the pool would make one wait.
    pub(super) async fn place(&self) -> Result<Place, DbErr> {
        let place = Arc::clone(&self.0.places).try_acquire_owned();
        match place {
            Ok(place) => Ok(place),
            Err(TryAcquireError::Closed) => Err(closed()),
            // What is seldom waited for is kept out of the futures of those who don't wait.
            Err(TryAcquireError::NoPermits) => Box::pin(self.wait_for_a_place()).await,
        }
    }

    async fn wait_for_a_place(&self) -> Result<Place, DbErr> {
        let place = Arc::clone(&self.0.places).acquire_owned();
        match tokio::time::timeout(self.0.patience, place).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) => Err(closed()),
            Err(_) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)),
        }
    }

    /// How many lie here.
    pub(super) fn kept(&self) -> usize {
        match &self.0.shelf {
            Either::Postgres(here) => here.lock().len(),
            Either::Sqlite(here) => here.lock().len(),
        }
    }

    /// Gives one back to the pool, so that the pool has one to give.
    pub(super) fn give_one_back(&self) {
        match &self.0.shelf {
            Either::Postgres(here) => drop(here.lock().pop()),
            Either::Sqlite(here) => drop(here.lock().pop()),
        }
    }

    /// Gives all back to the pool.
    pub(super) fn give_back(&self) {
        self.0.shelf.give_back(|_| true);
    }
}

/// Gives back what lies unused, for as long as there is somebody to use it.
async fn tidy(sessions: Weak<Inner>) {
    loop {
        tokio::time::sleep(UNUSED).await;
        let Some(sessions) = sessions.upgrade() else {
            return;
        };
        sessions.shelf.give_back(|used| used.elapsed() > UNUSED);
    }
}

impl Either {
    fn give_back(&self, which: impl Fn(&Instant) -> bool) {
        match self {
            Self::Postgres(here) => here.lock().retain(|session| !which(&session.used)),
            Self::Sqlite(here) => here.lock().retain(|session| !which(&session.used)),
        }
    }
}

impl<DB: sqlx::Database> Shelf<DB> {
    fn new(pool: &Pool<DB>, suspicion: &Suspicion) -> Self {
        Self {
            pool: pool.clone(),
            suspicion: suspicion.clone(),
            kept: Mutex::default(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Session<DB>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that lies here and is believed to be well, or else one from the pool.
    async fn take(&self) -> Result<Session<DB>, DbErr> {
        match self.take_from_here() {
            Some(session) => Ok(session),
            None => Box::pin(self.take_from_pool()).await,
        }
    }

    fn take_from_here(&self) -> Option<Session<DB>> {
        loop {
            let session = self.lock().pop()?;
            let unused = session.used.elapsed();
            let believed = unused < UNUSED
                && session.seen.elapsed() < UNSEEN
                && !self.suspicion.is_newer_than(unused);
            if believed {
                return Some(session);
            }
        }
    }

    async fn take_from_pool(&self) -> Result<Session<DB>, DbErr> {
        let connection = self.pool.acquire().await.map_err(not_acquired)?;
        let now = Instant::now();
        Ok(Session {
            connection,
            seen: now,
            used: now,
        })
    }

    fn keep(&self, session: Session<DB>) {
        if !self.pool.is_closed() {
            let used = Instant::now();
            self.lock().push(Session { used, ..session });
        }
    }

    async fn fetch_all(&self, statement: &Statement) -> Result<Vec<QueryResult>, DbErr>
    where
        for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
        SqlxValues: IntoArguments<DB>,
        QueryResult: From<DB::Row>,
    {
        let mut session = self.take().await?;
        let rows = query::<DB>(statement)
            .fetch_all(&mut *session.connection)
            .with_subscriber(Dispatch::none())
            .await;
        let rows = rows.map_err(failed)?;
        self.keep(session);
        Ok(rows.into_iter().map(QueryResult::from).collect())
    }

    async fn fetch_one(&self, statement: &Statement) -> Result<Option<QueryResult>, DbErr>
    where
        for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
        SqlxValues: IntoArguments<DB>,
        QueryResult: From<DB::Row>,
    {
        let mut session = self.take().await?;
        let row = query::<DB>(statement)
            .fetch_optional(&mut *session.connection)
            .with_subscriber(Dispatch::none())
            .await;
        let row = row.map_err(failed)?;
        self.keep(session);
        Ok(row.map(QueryResult::from))
    }

    async fn execute(&self, statement: &Statement) -> Result<ExecResult, DbErr>
    where
        for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
        SqlxValues: IntoArguments<DB>,
        ExecResult: From<DB::QueryResult>,
    {
        let mut session = self.take().await?;
        let done = query::<DB>(statement)
            .execute(&mut *session.connection)
            .with_subscriber(Dispatch::none())
            .await;
        let done = done.map_err(failed)?;
        self.keep(session);
        Ok(done.into())
    }

    /// By the protocol that takes more than one statement, and no values.
    async fn execute_unprepared(&self, statement: &Statement) -> Result<ExecResult, DbErr>
    where
        for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
        ExecResult: From<DB::QueryResult>,
    {
        let mut session = self.take().await?;
        let text = AssertSqlSafe(statement.sql.clone());
        let done = sqlx::raw_sql(text)
            .execute(&mut *session.connection)
            .with_subscriber(Dispatch::none())
            .await;
        let done = done.map_err(failed)?;
        self.keep(session);
        Ok(done.into())
    }
}

fn query<DB: sqlx::Database>(statement: &Statement) -> sqlx::query::Query<'_, DB, SqlxValues>
where
    SqlxValues: IntoArguments<DB>,
{
    let values = statement.values.clone().unwrap_or(Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql.as_str()), SqlxValues(values))
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

fn closed() -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)
}

/// As SeaORM does.
fn not_acquired(error: sqlx::Error) -> DbErr {
    match error {
        sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
        sqlx::Error::PoolClosed => closed(),
        error => DbErr::Conn(RuntimeErr::SqlxError(error.into())),
    }
}

macro_rules! send {
    ($sessions:ident, $method:ident, $statement:expr) => {{
        let statement = $statement;
        let inner = &*$sessions.0;
        let _place = $sessions.place().await?;
        let started = Instant::now();
        let result = match &inner.shelf {
            Either::Postgres(shelf) => shelf.$method(&statement).await,
            Either::Sqlite(shelf) => shelf.$method(&statement).await,
        };
        inner
            .counters
            .note(&statement, started.elapsed(), result.is_err());
        result
    }};
}

#[async_trait::async_trait]
impl ConnectionTrait for Sessions {
    fn get_database_backend(&self) -> DbBackend {
        match &self.0.shelf {
            Either::Postgres(_) => DbBackend::Postgres,
            Either::Sqlite(_) => DbBackend::Sqlite,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        send!(self, execute, statement)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let statement = Statement::from_string(self.get_database_backend(), sql);
        send!(self, execute_unprepared, statement)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        send!(self, fetch_one, statement)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        send!(self, fetch_all, statement)
    }
}

impl<DB: sqlx::Database> fmt::Debug for Shelf<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf")
            .field("kept", &self.lock().len())
            .finish_non_exhaustive()
    }
}
