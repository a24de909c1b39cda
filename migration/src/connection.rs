//! From settings to a pool of connections. The server and the migration runner both come here, so
//! that they can't disagree about which database they mean.

use std::{fmt, str::FromStr, time::Duration};

use sea_orm_migration::sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DbBackend, DbErr, RuntimeErr,
    SqlxSqliteConnector,
    sqlx::{
        ConnectOptions as _,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
    },
};
use url::Url;

use crate::{
    hooks::{self, Suspicion},
    settings::DatabaseSettings,
};

const DEFAULT_URL: &str = "sqlite:circle-registry.db";
/// How many rows SQLite's thread may be ahead of the one that takes them. All of an answer's rows are
/// taken, so that nothing is saved where either waits for the other; the driver's 50 are one too few
/// for the page of that size, which reads a row more to know of a next page.
const ROWS_AHEAD: usize = 1 << 10;

/// A database by its address. What it shows of itself never holds the password.
#[derive(Clone)]
pub struct Target {
    backend: DbBackend,
    url: String,
    password: Option<String>,
    host: String,
    database: String,
}

/// Why the settings name no database.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The text itself is kept out of the message: it may hold a password.
    #[error("the database URL can't be read: {0}")]
    Unreadable(url::ParseError),
    #[error("the database URL is not a usable SQLite address")]
    Sqlite,
    #[error("the database URL must start with sqlite: or postgres://")]
    UnknownScheme,
    #[error("the database URL must name a database, as in postgres://host/name")]
    NoDatabase,
    #[error("the user, password or host of the database can't be written as a URL")]
    Unwritable,
}

impl Target {
    /// The database that the settings name.
    ///
    /// # Errors
    /// An address that can't be read; the message never repeats it.
    pub fn from_settings(settings: &DatabaseSettings) -> Result<Self, TargetError> {
        match (&settings.database_url, &settings.db_host) {
            (Some(url), _) => url.parse(),
            (None, Some(host)) => Self::from_parts(host, settings),
            (None, None) => DEFAULT_URL.parse(),
        }
    }

    fn from_parts(host: &str, settings: &DatabaseSettings) -> Result<Self, TargetError> {
        let unwritable = |()| TargetError::Unwritable;
        let mut url = Url::parse("postgres://localhost").map_err(TargetError::Unreadable)?;
        if host.starts_with('/') {
            url.query_pairs_mut().append_pair("host", host);
        } else {
            url.set_host(Some(host)).map_err(TargetError::Unreadable)?;
        }
        url.set_port(Some(settings.db_port)).map_err(unwritable)?;
        url.set_username(&settings.db_user).map_err(unwritable)?;
        url.set_path(&settings.db_name);
        let mut target: Self = url.as_str().parse()?;
        target.password.clone_from(&settings.db_password);
        host.clone_into(&mut target.host);
        Ok(target)
    }

    fn sqlite(url: &str) -> Result<Self, TargetError> {
        let options = SqliteConnectOptions::from_str(url).map_err(|_| TargetError::Sqlite)?;
        let in_memory = url.contains(":memory:") || url.contains("mode=memory");
        Ok(Self {
            backend: DbBackend::Sqlite,
            url: url.to_owned(),
            password: None,
            host: String::new(),
            database: if in_memory {
                ":memory:".to_owned()
            } else {
                options.get_filename().display().to_string()
            },
        })
    }

    /// The password is taken out of the URL, because connectors trace the URL they are given.
    fn postgres(text: &str) -> Result<Self, TargetError> {
        let mut url = Url::parse(text).map_err(TargetError::Unreadable)?;
        let decode = |part: &str| {
            percent_encoding::percent_decode_str(part)
                .decode_utf8_lossy()
                .into_owned()
        };
        let password = url.password().map(decode);
        url.set_password(None)
            .map_err(|()| TargetError::Unwritable)?;
        let database = decode(url.path().trim_start_matches('/'));
        if database.is_empty() {
            return Err(TargetError::NoDatabase);
        }
        let socket = url
            .query_pairs()
            .find(|(key, _)| key == "host")
            .map(|(_, host)| host.into_owned());
        Ok(Self {
            backend: DbBackend::Postgres,
            host: socket.unwrap_or_else(|| url.host_str().unwrap_or("localhost").to_owned()),
            database,
            password,
            url: url.as_str().replacen("postgresql://", "postgres://", 1),
        })
    }

    pub fn backend(&self) -> DbBackend {
        self.backend
    }

    /// The server's name; empty for SQLite.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The database's name on its server, or SQLite's file.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// A database that lives in one connection and dies with it.
    pub fn is_in_memory(&self) -> bool {
        self.backend == DbBackend::Sqlite && self.database == ":memory:"
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(url: &str) -> Result<Self, TargetError> {
        match url.split_once(':') {
            Some(("sqlite", _)) => Self::sqlite(url),
            Some(("postgres" | "postgresql", _)) => Self::postgres(url),
            _ => Err(TargetError::UnknownScheme),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("backend", &self.backend)
            .field("host", &self.host)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// How many connections a pool keeps and how many it may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSize {
    pub min: u32,
    pub max: u32,
}

impl PoolSize {
    /// The sizes that the settings ask for. SQLite has one writer at a time and gains nothing from
    /// many connections; a database in memory is a single connection.
    pub fn from_settings(settings: &DatabaseSettings, target: &Target) -> Self {
        let usual = if target.backend == DbBackend::Sqlite {
            4
        } else {
            20
        };
        let max = if target.is_in_memory() {
            1
        } else {
            settings.db_pool_max.unwrap_or(usual)
        };
        Self {
            min: settings.db_pool_min.unwrap_or(4).min(max),
            max,
        }
    }

    /// One connection, for the tools that do one thing after the other.
    pub const ONE: Self = Self { min: 1, max: 1 };
}

/// Opens a pool. The database is not touched before the first statement, so that a service can
/// start while its database is still down.
///
/// # Errors
/// Options that can't work.
pub async fn open(
    settings: &DatabaseSettings,
    target: &Target,
    size: PoolSize,
) -> Result<DatabaseConnection, DbErr> {
    open_watched(settings, target, size, &Suspicion::default()).await
}

/// Opens a pool as [`open`] does, which looks closer at its sessions after suspicion was raised.
///
/// # Errors
/// As [`open`].
pub async fn open_watched(
    settings: &DatabaseSettings,
    target: &Target,
    size: PoolSize,
    suspicion: &Suspicion,
) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(&target.url);
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
    if target.backend == DbBackend::Sqlite {
        return open_sqlite(options, settings, target);
    }
    postgres_options(&mut options, settings, target);
    let suspicion = suspicion.clone();
    options.map_sqlx_postgres_pool_opts(move |pool| hooks::watch(pool, &suspicion));
    Database::connect(options).await
}

/// SeaORM's own way to a SQLite pool asks for the library's version, which is ours, and so fails
/// where the file is busy.
fn open_sqlite(
    mut options: ConnectOptions,
    settings: &DatabaseSettings,
    target: &Target,
) -> Result<DatabaseConnection, DbErr> {
    // A file does not hang up.
    options.test_before_acquire(false);
    let sqlite = SqliteConnectOptions::from_str(&target.url)
        .map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))?
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(settings.db_lock_timeout)
        .row_buffer_size(ROWS_AHEAD)
        .disable_statement_logging();
    let pool = options.sqlx_pool_options().connect_lazy_with(sqlite);
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}

fn postgres_options(options: &mut ConnectOptions, settings: &DatabaseSettings, target: &Target) {
    let limits = [
        ("lock_timeout", milliseconds(settings.db_lock_timeout)),
        (
            "idle_in_transaction_session_timeout",
            milliseconds(settings.db_idle_in_transaction_timeout),
        ),
    ];
    let password = target.password.clone();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_never_shows_its_password() {
        let target: Target = "postgresql://me:s%40cret@db.example:5433/teams"
            .parse()
            .expect("a target");
        assert_eq!((target.host(), target.database()), ("db.example", "teams"));
        assert_eq!(target.password.as_deref(), Some("s@cret"));
        assert_eq!(target.url, "postgres://me@db.example:5433/teams");
        assert!(!format!("{target:?}").contains("cret"));
    }

    #[test]
    fn an_address_that_names_no_database_is_refused_without_repeating_it() {
        for text in [
            "mysql://u:hunter2@h/d",
            "postgres://u:hunter2@h",
            "postgres://u:hunter2@[",
            "hunter2",
        ] {
            let error = text.parse::<Target>().expect_err(text).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_database_in_memory_is_one_connection() {
        let target: Target = "sqlite::memory:".parse().expect("a target");
        assert!(target.is_in_memory());
    }
}
