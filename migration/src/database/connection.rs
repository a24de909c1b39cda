//! A pool of connections to the database that the settings name.

use std::{str::FromStr, time::Duration};

pub use super::target::{Target, TargetError};
use super::{
    hooks::{self, Distrust},
    settings::DatabaseSettings,
};
use sea_orm_migration::sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DbBackend, DbErr, RuntimeErr,
    SqlxSqliteConnector,
    sqlx::{
        ConnectOptions as _,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
};

/// How many rows SQLite's worker thread may read ahead. Every row is consumed, so it saves nothing to
/// make either side wait. The driver's default of 50 is one too few for a full page, which reads one
/// row more to know whether a next page exists.
const SQLITE_ROW_BUFFER: usize = 1 << 10;

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
/// # Errors
/// Invalid connection options.
pub async fn open(
    settings: &DatabaseSettings,
    target: &Target,
    size: PoolSize,
) -> Result<DatabaseConnection, DbErr> {
    open_with_distrust(settings, target, size, &Distrust::default()).await
}

/// Opens a pool of one connection that only reads: a SQLite file is not created and keeps its journal mode.
///
/// # Errors
/// As [`open`].
pub async fn open_to_look(
    settings: &DatabaseSettings,
    target: &Target,
) -> Result<DatabaseConnection, DbErr> {
    if target.backend() != DbBackend::Sqlite {
        return open(settings, target, PoolSize::ONE).await;
    }
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(settings.db_acquire_timeout);
    let pool = pool.connect_lazy_with(sqlite_options(settings, target)?);
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}

/// Opens a pool as [`open`] does. The pool checks every connection after `distrust` is raised.
///
/// # Errors
/// As [`open`].
pub async fn open_with_distrust(
    settings: &DatabaseSettings,
    target: &Target,
    size: PoolSize,
    distrust: &Distrust,
) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(target.url());
    options
        .min_connections(size.min)
        .max_connections(size.max)
        .acquire_timeout(settings.db_acquire_timeout)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .connect_lazy(true);
    if target.is_in_memory() {
        options.idle_timeout(None).max_lifetime(None);
    } else {
        options
            .idle_timeout(settings.db_idle_timeout)
            .max_lifetime(settings.db_max_lifetime);
    }
    if target.backend() == DbBackend::Sqlite {
        return open_sqlite(options, settings, target);
    }
    postgres_options(&mut options, settings, target);
    let distrust = distrust.clone();
    options.map_sqlx_postgres_pool_opts(move |pool| hooks::install(pool, &distrust));
    Database::connect(options).await
}

/// SeaORM's own connector for SQLite asks the database for the library's version, which fails while
/// the file is locked.
fn open_sqlite(
    mut options: ConnectOptions,
    settings: &DatabaseSettings,
    target: &Target,
) -> Result<DatabaseConnection, DbErr> {
    // A file can't close the connection.
    options.test_before_acquire(false);
    let sqlite = sqlite_options(settings, target)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let pool = options.sqlx_pool_options().connect_lazy_with(sqlite);
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}

/// What every connection to a SQLite file has.
fn sqlite_options(
    settings: &DatabaseSettings,
    target: &Target,
) -> Result<SqliteConnectOptions, DbErr> {
    let options = SqliteConnectOptions::from_str(target.url())
        .map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))?;
    Ok(options
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(settings.db_lock_timeout)
        .row_buffer_size(SQLITE_ROW_BUFFER)
        .disable_statement_logging())
}

fn postgres_options(options: &mut ConnectOptions, settings: &DatabaseSettings, target: &Target) {
    let limits = [
        ("lock_timeout", milliseconds(settings.db_lock_timeout)),
        (
            "idle_in_transaction_session_timeout",
            milliseconds(settings.db_idle_in_transaction_timeout),
        ),
    ];
    let password = target.password().map(str::to_owned);
    options
        .set_application_name("circle-registry")
        .statement_timeout(settings.db_statement_timeout)
        .map_sqlx_postgres_opts(move |postgres| {
            let postgres = postgres.options(limits.clone());
            match &password {
                Some(password) => postgres.password(password),
                None => postgres,
            }
        });
}

fn milliseconds(duration: Duration) -> String {
    duration.as_millis().to_string()
}
