//! Several reads of one state of the database.

use std::{fmt, time::Instant};

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement,
    sqlx::{Postgres, Sqlite},
};
use tokio::sync::Mutex;

use super::{Backend, ConnectionPermit, Connections};
use crate::database::{
    idle_stack::Held,
    limited_rows::{LimitedRows, MAX_ROWS_BYTES},
};

/// A transaction that only reads. It holds a connection, so it must end before its request asks for another: that may
/// be the only one.
pub(crate) struct Snapshot<'c> {
    connections: &'c Connections,
    session: Mutex<Session>,
    _permit: ConnectionPermit,
}

enum Session {
    Postgres(Held<Postgres>),
    Sqlite(Held<Sqlite>),
}

impl Connections {
    pub(crate) async fn snapshot(&self) -> Result<Snapshot<'_>, DbErr> {
        const POSTGRES: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let permit = self.permit().await?;
        let session = match &self.inner.backend {
            Backend::Postgres(stack) => Session::Postgres(stack.begin(POSTGRES).await?),
            Backend::Sqlite(stack) => Session::Sqlite(stack.begin("BEGIN").await?),
        };
        Ok(Snapshot {
            connections: self,
            session: Mutex::new(session),
            _permit: permit,
        })
    }
}

impl Snapshot<'_> {
    /// Gives the connection back, which is closed otherwise, and returns what was read.
    ///
    /// # Errors
    /// That of the reads or else of the end.
    pub(crate) async fn end<T, E: From<DbErr>>(self, read: Result<T, E>) -> Result<T, E> {
        let ended = match (&self.connections.inner.backend, self.session.into_inner()) {
            (Backend::Postgres(stack), Session::Postgres(held)) => stack.end(held).await,
            (Backend::Sqlite(stack), Session::Sqlite(held)) => stack.end(held).await,
            _ => Ok(()),
        };
        let value = read?;
        ended?;
        Ok(value)
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Snapshot<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.connections.get_database_backend()
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let rows = LimitedRows::new(self.connections.memory.as_ref(), MAX_ROWS_BYTES);
        let started = Instant::now();
        let rows = match &mut *self.session.lock().await {
            Session::Postgres(held) => held.fetch_all(&statement, rows).await,
            Session::Sqlite(held) => held.fetch_all(&statement, rows).await,
        };
        let counters = &self.connections.inner.counters;
        counters.record_statement(&statement, started.elapsed(), rows.is_err());
        rows?.whole()
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.query_all_raw(statement).await?.into_iter().next())
    }

    async fn execute_raw(&self, _: Statement) -> Result<ExecResult, DbErr> {
        Err(reads_only())
    }

    async fn execute_unprepared(&self, _: &str) -> Result<ExecResult, DbErr> {
        Err(reads_only())
    }
}

fn reads_only() -> DbErr {
    DbErr::Custom("a snapshot only reads".to_owned())
}

impl fmt::Debug for Snapshot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}
