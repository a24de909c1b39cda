//! The database that the settings name.

use std::{fmt, str::FromStr};

use sea_orm_migration::sea_orm::{DbBackend, sqlx::sqlite::SqliteConnectOptions};
use url::Url;

use super::settings::DatabaseSettings;

const DEFAULT_URL: &str = "sqlite:circle-registry.db";

/// The address of a database. Its `Debug` output never contains the password.
#[derive(Clone)]
pub struct Target {
    backend: DbBackend,
    url: String,
    password: Option<String>,
    host: String,
    database: String,
}

/// Why the settings name no database. No message repeats the URL, which may contain a password.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    #[error("the database URL can't be parsed: {0}")]
    Unreadable(url::ParseError),
    #[error("the database URL is not a valid SQLite address")]
    Sqlite,
    #[error("the database URL must start with sqlite: or postgres://")]
    UnknownScheme,
    #[error("the database URL must name a database, as in postgres://host/name")]
    NoDatabase,
    #[error("the database user, password, host or port can't be written as a URL")]
    Unwritable,
}

impl Target {
    /// The database that the settings name.
    ///
    /// # Errors
    /// An address that can't be parsed.
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

    /// Takes the password out of the URL, because connectors trace their URL.
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

    /// Without the password.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The server's host name or socket directory; empty for SQLite.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The database's name on its server, or the SQLite file.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Whether the database lives and dies with its only connection.
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
