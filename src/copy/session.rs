//! A connection of a copy, to a database of either kind.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use migration::{
    database::{
        connection::{self, PoolSize, Target},
        limits::SessionLimits,
        settings::DatabaseSettings,
    },
    runner,
};
use sea_orm::{
    DbBackend, DbErr, RuntimeErr,
    sqlx::{
        self, AssertSqlSafe, ConnectOptions, PgConnection, Row, SqliteConnection, raw_sql,
        sqlite::SqliteConnectOptions,
    },
};

use super::{
    catalogue::{CopiedTable, quoted},
    datum::DataRow,
    error::{CopyError, CopySide},
    postgres, sqlite,
};

/// One connection.
pub(super) struct CopySession {
    pub(super) side: CopySide,
    driver: CopyDriver,
}

enum CopyDriver {
    Postgres(Box<PgConnection>),
    Sqlite(Box<SqliteConnection>),
}

/// The rows of a table in the order of their keys.
pub(super) type RowStream<'s> = BoxStream<'s, Result<DataRow, CopyError>>;

impl CopySession {
    /// Connects to the source, which is only read: a SQLite file keeps its journal mode.
    pub(super) async fn source(
        settings: &DatabaseSettings,
        target: &Target,
    ) -> Result<Self, CopyError> {
        Self::connect(settings, target, CopySide::Source).await
    }

    /// Connects to the target.
    pub(super) async fn target(
        settings: &DatabaseSettings,
        target: &Target,
    ) -> Result<Self, CopyError> {
        Self::connect(settings, target, CopySide::Target).await
    }

    async fn connect(
        settings: &DatabaseSettings,
        target: &Target,
        side: CopySide,
    ) -> Result<Self, CopyError> {
        let pool = match side {
            CopySide::Source => connection::open_to_look(settings, target),
            CopySide::Target => connection::open(settings, target, PoolSize::ONE),
        };
        let limit = settings.db_acquire_timeout;
        let driver = if target.backend() == DbBackend::Sqlite {
            let options = pool.get_sqlite_connection_pool().connect_options();
            // The copy has rows for a while that refer to rows that come later.
            let options = SqliteConnectOptions::clone(&options).foreign_keys(false);
            let connection = in_time(side, limit, options.connect()).await?;
            CopyDriver::Sqlite(Box::new(connection))
        } else {
            let options = pool.get_postgres_connection_pool().connect_options();
            let mut connection = in_time(side, limit, options.connect()).await?;
            let limits = SessionLimits::of(settings);
            in_time(side, limit, limits.set(&mut connection)).await?;
            CopyDriver::Postgres(Box::new(connection))
        };
        Ok(Self { side, driver })
    }

    /// A database in memory with the schema of this build, and the migrations that made it.
    pub(super) async fn migrated_in_memory(
        settings: &DatabaseSettings,
    ) -> Result<(Self, Vec<String>), CopyError> {
        let side = CopySide::Source;
        let target: Target = "sqlite::memory:".parse()?;
        let db = connection::open(settings, &target, PoolSize::ONE);
        let migrations = runner::up(&db, None).await;
        let migrations = migrations.map_err(|cause| CopyError::Schema(side, cause))?;
        let connection = db.get_sqlite_connection_pool().acquire().await;
        let connection = connection.map_err(CopyError::of(side))?.detach();
        let driver = CopyDriver::Sqlite(Box::new(connection));
        Ok((Self { side, driver }, migrations))
    }

    pub(super) fn backend(&self) -> DbBackend {
        match self.driver {
            CopyDriver::Postgres(_) => DbBackend::Postgres,
            CopyDriver::Sqlite(_) => DbBackend::Sqlite,
        }
    }

    /// The statement of this database's kind.
    pub(super) fn choose<T>(&self, sqlite: T, postgres: T) -> T {
        match self.driver {
            CopyDriver::Sqlite(_) => sqlite,
            CopyDriver::Postgres(_) => postgres,
        }
    }

    /// Runs statements.
    pub(super) async fn execute(&mut self, sql: &str) -> Result<(), CopyError> {
        let sql = raw_sql(AssertSqlSafe(sql.to_owned()));
        let done = match &mut self.driver {
            CopyDriver::Postgres(connection) => sql.execute(&mut **connection).await.map(drop),
            CopyDriver::Sqlite(connection) => sql.execute(&mut **connection).await.map(drop),
        };
        done.map_err(CopyError::of(self.side))
    }

    /// The rows of a query of which each column is a text.
    pub(super) async fn texts(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, CopyError> {
        let sql = raw_sql(AssertSqlSafe(sql.to_owned()));
        let texts = match &mut self.driver {
            CopyDriver::Postgres(connection) => {
                let rows = sql.fetch_all(&mut **connection).await;
                rows.and_then(|rows| {
                    let texts = |row| postgres::texts(row);
                    rows.iter().map(texts).collect()
                })
            }
            CopyDriver::Sqlite(connection) => {
                let rows = sql.fetch_all(&mut **connection).await;
                rows.and_then(|rows| {
                    let texts = |row: &sqlx::sqlite::SqliteRow| {
                        (0..row.len()).map(|column| row.try_get(column)).collect()
                    };
                    rows.iter().map(texts).collect()
                })
            }
        };
        texts.map_err(CopyError::of(self.side))
    }

    /// The number that a query selects as a text; 0 if it selects none.
    pub(super) async fn number(&mut self, sql: &str) -> Result<i64, CopyError> {
        let texts = self.texts(sql).await?;
        let text = texts.into_iter().flatten().flatten().next();
        Ok(text.and_then(|text| text.parse().ok()).unwrap_or_default())
    }

    pub(super) async fn count(&mut self, table: &str) -> Result<i64, CopyError> {
        let table = quoted(table);
        let sql = format!("SELECT CAST(count(*) AS text) FROM {table}");
        self.number(&sql).await
    }

    /// Begins a transaction of a long job. A pooler may hand each to another session, so the limits are lifted in each.
    pub(super) async fn begin(&mut self, sqlite: &str, postgres: &str) -> Result<(), CopyError> {
        let begin = self.choose(sqlite, postgres).to_owned();
        self.execute(&begin).await?;
        if self.backend() == DbBackend::Postgres {
            self.execute(postgres::LIFT_LIMITS).await?;
        }
        Ok(())
    }

    /// Begins a transaction that only reads: all that it reads is of one moment.
    pub(super) async fn begin_to_read(&mut self) -> Result<(), CopyError> {
        self.begin("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await
    }

    /// All rows of a table, in the order of their keys.
    pub(super) fn rows<'s>(&'s mut self, table: &'s CopiedTable) -> RowStream<'s> {
        let side = self.side;
        let failed = move |cause| CopyError::Table(side, table.name.clone(), cause);
        match &mut self.driver {
            CopyDriver::Postgres(connection) => {
                let query = sqlx::query(AssertSqlSafe(postgres::select(table))).persistent(false);
                let rows = query.fetch(&mut **connection).map_err(failed);
                rows.map(move |row| {
                    let row = row?;
                    table.read_row(side, |index, kind| postgres::datum(&row, index, kind))
                })
                .boxed()
            }
            CopyDriver::Sqlite(connection) => {
                let query = sqlx::query(AssertSqlSafe(sqlite::select(table))).persistent(false);
                let rows = query.fetch(&mut **connection).map_err(failed);
                rows.map(move |row| {
                    let row = row?;
                    table.read_row(side, |index, kind| sqlite::datum(&row, index, kind))
                })
                .boxed()
            }
        }
    }

    /// Inserts rows, in the transaction that has begun.
    pub(super) async fn insert(
        &mut self,
        table: &CopiedTable,
        rows: &[DataRow],
    ) -> Result<(), CopyError> {
        let done = match &mut self.driver {
            CopyDriver::Postgres(connection) => postgres::insert(connection, table, rows).await,
            CopyDriver::Sqlite(connection) => sqlite::insert(connection, table, rows).await,
        };
        done.map_err(|cause| CopyError::Table(self.side, table.name.clone(), cause))
    }

    /// Deletes the rows that have the keys of these, in the transaction that has begun.
    pub(super) async fn delete(
        &mut self,
        table: &CopiedTable,
        rows: &[DataRow],
    ) -> Result<(), CopyError> {
        let done = match &mut self.driver {
            CopyDriver::Postgres(connection) => postgres::delete(connection, table, rows).await,
            CopyDriver::Sqlite(connection) => sqlite::delete(connection, table, rows).await,
        };
        done.map_err(|cause| CopyError::Table(self.side, table.name.clone(), cause))
    }
}

async fn in_time<T>(
    side: CopySide,
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, CopyError> {
    let Ok(result) = tokio::time::timeout(limit, work).await else {
        let limit = humantime::format_duration(limit);
        let cause = RuntimeErr::Internal(format!("no answer within {limit}"));
        return Err(CopyError::Database(side, DbErr::Conn(cause)));
    };
    result.map_err(CopyError::of(side))
}
