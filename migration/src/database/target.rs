//! The database that the settings name.

use std::{borrow::Cow, fmt, io, str::FromStr, time::Duration};

use sea_orm_migration::sea_orm::{
    DbBackend, DbErr,
    sqlx::{postgres::PgConnectOptions, sqlite::SqliteConnectOptions},
};

use super::{
    hosts::Hosts, postgres_target::PostgresTarget, settings::DatabaseSettings, sqlite_url,
};

/// How an error names the setting of the URL.
pub(super) const URL_SETTING: &str = "DATABASE_URL (--database-url)";

const DEFAULT_URL: &str = "sqlite:circle-registry.db";

/// The address of a database. Its `Debug` output never contains the password.
#[derive(Clone)]
pub struct Target {
    driver: Driver,
    hosts: Option<Hosts>,
    host: String,
    database: String,
    in_memory: bool,
}

/// What the driver connects by.
#[derive(Clone)]
pub(super) enum Driver {
    Postgres(Box<PgConnectOptions>),
    Sqlite(Box<SqliteConnectOptions>),
}

/// Why the settings name no database. The message names the setting and never repeats its value,
/// which may contain a password.
#[derive(Debug, thiserror::Error)]
#[error("{setting} {fault}")]
pub struct TargetError {
    setting: Cow<'static, str>,
    fault: Fault,
}

impl TargetError {
    pub(super) fn new(setting: impl Into<Cow<'static, str>>, fault: Fault) -> Self {
        Self {
            setting: setting.into(),
            fault,
        }
    }

    /// The same error for a URL that another setting has.
    #[must_use]
    pub fn of_setting(self, setting: &str) -> Self {
        Self {
            setting: self.setting.replace(URL_SETTING, setting).into(),
            fault: self.fault,
        }
    }
}

/// What is wrong with a setting.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("must start with sqlite: or postgres://")]
    UnknownScheme,
    #[error(
        "can't be read; in the user, the password and the database's name, write %40 for @, %2F for /, \
         %3F for ?, %23 for # and %25 for %"
    )]
    Ambiguous,
    #[error("has a % that does not begin an encoded character; write %25 for %")]
    Encoding,
    #[error(
        "must name a host, or several: a host name, an IP address (IPv6 in brackets) or a socket directory"
    )]
    Host,
    #[error("must have as many ports and addresses as hosts, or one port for all of them")]
    HostCount,
    #[error("must have a port from 1 to 65535 or none")]
    Port,
    #[error("names another port than DB_PORT (--db-port)")]
    TwoPorts,
    #[error("must name a database, as in postgres://host/name")]
    NoDatabase,
    #[error(
        "has a parameter that is not of the form name=value, or unknown; it is not shown, because it \
         may be a part of the password, in which & is written %26 and @ %40"
    )]
    NotAParameter,
    #[error(
        "has the parameter `{0}`, which is not supported; docs/database.md lists those that are"
    )]
    Unsupported(String),
    #[error("must be {0}")]
    Value(String),
    #[error("can't be used with a host name and sslmode=verify-full, which checks that name")]
    NameNotChecked,
    #[error("names a file that can't be read: {0}")]
    File(io::Error),
    #[error("must name a file of certificates in PEM format")]
    NoCertificates,
    #[error("must name a file with an unencrypted private key in PEM format")]
    NoKey,
    #[error("is useless alone: sslcert and sslkey belong together")]
    NotAPair,
    #[error("is `system`, which needs sslmode=verify-full")]
    WeakMode,
    #[error("is `system`, but this system has no store of certificates; name a file")]
    NoSystemStore,
    #[error("must name a file, as in sqlite:circle-registry.db")]
    NoFile,
    #[error("has a parameter with a value that SQLite does not know")]
    SqliteValue,
    #[error("names a file that does not exist, and its mode forbids to create it")]
    MissingFile,
}

impl Target {
    /// The database that the settings name.
    ///
    /// # Errors
    /// An address that can't be parsed, or a file that it names and that can't be read.
    pub fn from_settings(settings: &DatabaseSettings) -> Result<Self, TargetError> {
        match (&settings.database_url, &settings.db_host) {
            (Some(url), _) => url.parse(),
            (None, Some(host)) => Self::postgres(&PostgresTarget::from_parts(host, settings)?),
            (None, None) => DEFAULT_URL.parse(),
        }
    }

    fn postgres(target: &PostgresTarget) -> Result<Self, TargetError> {
        let hosts = target.hosts()?;
        let options = hosts.options(0).clone();
        Ok(Self {
            host: hosts.to_string(),
            hosts: Some(hosts).filter(Hosts::are_a_choice),
            database: options.get_database().unwrap_or_default().to_owned(),
            in_memory: false,
            driver: Driver::Postgres(Box::new(options)),
        })
    }

    fn sqlite(text: &str) -> Result<Self, TargetError> {
        let (options, in_memory) =
            sqlite_url::parse(text).map_err(|fault| TargetError::new(URL_SETTING, fault))?;
        let file = options.get_filename().display().to_string();
        Ok(Self {
            hosts: None,
            host: String::new(),
            database: if in_memory {
                ":memory:".to_owned()
            } else {
                file
            },
            in_memory,
            driver: Driver::Sqlite(Box::new(options)),
        })
    }

    pub fn backend(&self) -> DbBackend {
        match self.driver {
            Driver::Postgres(_) => DbBackend::Postgres,
            Driver::Sqlite(_) => DbBackend::Sqlite,
        }
    }

    pub(super) fn driver(&self) -> &Driver {
        &self.driver
    }

    /// The servers of which one is to be chosen, unless only one will do whatever its role is.
    pub fn hosts(&self) -> Option<&Hosts> {
        self.hosts.as_ref()
    }

    /// The same database, on the server that will do now.
    ///
    /// # Errors
    /// No server will do.
    pub async fn choose_host(mut self, timeout: Duration) -> Result<Self, DbErr> {
        if let Some(hosts) = self.hosts.take() {
            let chosen = hosts.choose(timeout).await?;
            self.driver = Driver::Postgres(Box::new(hosts.options(chosen.index).clone()));
        }
        Ok(self)
    }

    /// The server's host name or socket directory, or several; empty for SQLite.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The server's host and port, or its socket directory; the file for SQLite. Of several servers, the first.
    pub fn address(&self) -> String {
        match &self.driver {
            Driver::Postgres(options) => match options.get_socket() {
                Some(socket) => socket.display().to_string(),
                None => format!("{}:{}", options.get_host(), options.get_port()),
            },
            Driver::Sqlite(_) => self.database.clone(),
        }
    }

    /// The database's name on its server, or the SQLite file.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Whether the database lives and dies with its only connection.
    pub fn is_in_memory(&self) -> bool {
        self.in_memory
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(url: &str) -> Result<Self, TargetError> {
        let url = url.trim();
        if let Some(rest) = url.strip_prefix("sqlite:") {
            return Self::sqlite(rest);
        }
        let rest = url
            .strip_prefix("postgres://")
            .or_else(|| url.strip_prefix("postgresql://"))
            .ok_or_else(|| TargetError::new(URL_SETTING, Fault::UnknownScheme))?;
        Self::postgres(&PostgresTarget::from_url(rest)?)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("backend", &self.backend())
            .field("host", &self.host)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> Box<PgConnectOptions> {
        match url.parse::<Target>().expect(url).driver {
            Driver::Postgres(options) => options,
            Driver::Sqlite(_) => panic!("{url} is PostgreSQL's"),
        }
    }

    #[test]
    fn a_target_never_shows_its_password() {
        let target: Target = "postgresql://me:s%40cret@db.example:5433/teams"
            .parse()
            .expect("a target");
        assert_eq!((target.host(), target.database()), ("db.example", "teams"));
        assert!(!format!("{target:?}").contains("cret"));
    }

    #[test]
    fn every_form_of_url_that_libpq_knows_leads_where_it_says() {
        for (url, host, port, user) in [
            ("postgres://me@[::1]:5433/app", "::1", 5433, "me"),
            ("postgres://me@10.0.0.1/app", "10.0.0.1", 5432, "me"),
            (
                "postgres:///app?host=db&port=5433&user=me",
                "db",
                5433,
                "me",
            ),
            (
                "postgres://other@a:1/x?host=b&port=2&user=me&dbname=app",
                "b",
                2,
                "me",
            ),
            (
                "postgres://me@db/app?hostaddr=10.0.0.1",
                "10.0.0.1",
                5432,
                "me",
            ),
            (
                "postgres://m%2Be@db/app?application_name=x",
                "db",
                5432,
                "m+e",
            ),
        ] {
            let options = options(url);
            assert_eq!(options.get_host(), host, "{url}");
            assert_eq!(
                (options.get_port(), options.get_username()),
                (port, user),
                "{url}"
            );
            assert_eq!(options.get_database(), Some("app"), "{url}");
        }
        for url in [
            "postgres:///app?host=/run/pg&user=me",
            "postgres://me@%2Frun%2Fpg/app",
        ] {
            let socket = options(url).get_socket().cloned();
            assert_eq!(socket, Some("/run/pg".into()), "{url}");
        }
        let given = options("postgres://db/app?options=-c%20geqo=off&options[a]=b c");
        assert_eq!(given.get_options(), Some(r"-c a=b\ c"), "the last counts");
    }

    #[test]
    fn several_hosts_are_read_as_by_libpq() {
        let addresses = |url: &str| {
            let target: Target = url.parse().expect(url);
            let hosts = target.hosts().expect(url);
            let address = |index| {
                let options = hosts.options(index);
                format!("{}:{}", options.get_host(), options.get_port())
            };
            [address(0), address(1)].join(" ")
        };
        for (url, expected) in [
            ("postgres://me@a:1,b:2/app", "a:1 b:2"),
            ("postgres://me@a,b:2/app", "a:5432 b:2"),
            ("postgres://me@[::1]:1,b/app", "::1:1 b:5432"),
            ("postgres://me@/app?host=a,b&port=1,2", "a:1 b:2"),
            ("postgres://me@/app?host=a,b&port=7", "a:7 b:7"),
            (
                "postgres://me@a,b/app?hostaddr=10.0.0.1,10.0.0.2",
                "10.0.0.1:5432 10.0.0.2:5432",
            ),
        ] {
            assert_eq!(addresses(url), expected);
        }
        let several: Target = "postgres://me:pw@a:1,b:2/app".parse().expect("a target");
        assert_eq!(several.host(), "a,b");
        let one: Target = "postgres://me@a/app?target_session_attrs=any"
            .parse()
            .expect("a target");
        assert!(one.hosts().is_none());
        let one: Target = "postgres://me@a/app?target_session_attrs=primary"
            .parse()
            .expect("a target");
        assert!(one.hosts().is_some());
        for url in [
            "postgres://me@a,b,c/app?port=1,2",
            "postgres://me@a,b/app?hostaddr=10.0.0.1",
            "postgres://me@a,,b/app",
            "postgres://me@a,b:x/app",
        ] {
            assert!(url.parse::<Target>().is_err(), "{url}");
        }
    }

    #[test]
    fn an_address_that_names_no_database_is_refused_without_repeating_it() {
        for text in [
            "mysql://u:hunter2@h/d",
            "postgres://u:hunter2@h",
            "postgres://u:hunter2@[",
            "postgres://u@hunter2,/d",
            "postgres://u@hunter 2/d",
            "postgres://u@h:hunter2/d",
            "postgres://u@h:0/d",
            "postgres://u@h/d?port=hunter2",
            "postgres://u@h/d?hostaddr=hunter2",
            "postgres://u@h/d?sslpassword=hunter2",
            "postgres://u@h/d?statement-cache-capacity=hunter2",
            "hunter2",
        ] {
            let error = text.parse::<Target>().expect_err(text).to_string();
            assert!(!error.contains("hunter"), "{error}");
            assert!(error.contains("DATABASE_URL (--database-url)"), "{error}");
        }
    }
}
