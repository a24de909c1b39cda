//! A pool of connections to the database that the settings name.

use super::{
    hooks::{self, Distrust},
    limits::SessionLimits,
    settings::DatabaseSettings,
    target::Driver,
};
pub use super::{
    hosts::{ChosenHost, Hosts},
    target::{Target, TargetError},
};
use sea_orm_migration::sea_orm::{
    ConnectOptions, DatabaseConnection, DbBackend, SqlxPostgresConnector, SqlxSqliteConnector,
    sqlx::{
        ConnectOptions as _,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
};

/// How many rows SQLite's worker thread may read ahead: a page of the default size, and what ends it. With fewer,
/// that thread and the reader wait for each other, and a list takes up to twice the CPU time (8: 350 us,
/// 64: 187 us). They take memory that no limit counts, but the reader keeps up with rows that are large.
const SQLITE_ROW_BUFFER: usize = 64;

/// How many connections a pool keeps open, and how many it may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSize {
    pub min: u32,
    pub max: u32,
}

impl PoolSize {
    /// The sizes in the settings. By default SQLite gets few connections, because it has only one
    /// writer at a time; a database in memory has a single connection.
    pub fn from_settings(settings: &DatabaseSettings, target: &Target) -> Self {
        let default_max = if target.backend() == DbBackend::Sqlite {
            4
        } else {
            20
        };
        let max = if target.is_in_memory() {
            1
        } else {
            settings.db_pool_max.unwrap_or(default_max)
        };
        Self {
            // A database in memory ends with its last connection.
            min: if target.is_in_memory() {
                1
            } else {
                settings.db_pool_min.unwrap_or(4).min(max)
            },
            max,
        }
    }

    /// One connection, for commands that run one statement after the other.
    pub const ONE: Self = Self { min: 1, max: 1 };
}

/// Opens a pool. The first connection is made by the first statement, so a service can start while
/// its database is down.
///
/// # Panics
/// Outside of a Tokio runtime.
pub fn open(settings: &DatabaseSettings, target: &Target, size: PoolSize) -> DatabaseConnection {
    open_with_distrust(settings, target, size, &Distrust::default())
}

/// Opens a pool of one connection that only reads: a SQLite file is not created and keeps its journal mode.
///
/// # Panics
/// As [`open`].
pub fn open_to_look(settings: &DatabaseSettings, target: &Target) -> DatabaseConnection {
    let Driver::Sqlite(sqlite) = target.driver() else {
        return open(settings, target, PoolSize::ONE);
    };
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(settings.db_acquire_timeout);
    let sqlite = sqlite_options(sqlite, settings).create_if_missing(false);
    SqlxSqliteConnector::from_sqlx_sqlite_pool(pool.connect_lazy_with(sqlite))
}

/// Opens a pool as [`open`] does. The pool checks every connection after `distrust` is raised.
///
/// # Panics
/// As [`open`].
pub fn open_with_distrust(
    settings: &DatabaseSettings,
    target: &Target,
    size: PoolSize,
    distrust: &Distrust,
) -> DatabaseConnection {
    let mut options = ConnectOptions::new("");
    options
        .min_connections(size.min)
        .max_connections(size.max)
        .acquire_timeout(settings.db_acquire_timeout);
    if target.is_in_memory() {
        options.idle_timeout(None).max_lifetime(None);
    } else {
        options
            .idle_timeout(settings.db_idle_timeout)
            .max_lifetime(settings.db_max_lifetime);
    }
    // SeaORM's own connectors take a URL, and trace it. That for SQLite asks the database for the
    // library's version, which fails while the file is locked.
    match target.driver() {
        Driver::Sqlite(sqlite) => {
            // A file can't close the connection.
            options.test_before_acquire(false);
            let sqlite = sqlite_options(sqlite, settings).journal_mode(SqliteJournalMode::Wal);
            let pool = options.sqlx_pool_options().connect_lazy_with(sqlite);
            SqlxSqliteConnector::from_sqlx_sqlite_pool(pool)
        }
        Driver::Postgres(postgres) => {
            let limits = SessionLimits::of(settings);
            let pool = hooks::install(options.sqlx_pool_options(), distrust, limits);
            let pool = pool.connect_lazy_with(postgres.as_ref().clone());
            SqlxPostgresConnector::from_sqlx_postgres_pool(pool)
        }
    }
}

/// What every connection to a SQLite file has.
fn sqlite_options(
    sqlite: &SqliteConnectOptions,
    settings: &DatabaseSettings,
) -> SqliteConnectOptions {
    sqlite
        .clone()
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(settings.db_lock_timeout)
        .row_buffer_size(SQLITE_ROW_BUFFER)
        .disable_statement_logging()
}
