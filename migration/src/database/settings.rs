//! The settings of the database and its connection pool.
//!
//! Every setting is read from its flag, its environment variable (`environment.rs`), a TOML file or its
//! default, in this order of precedence. The file replaces defaults before the command line is parsed. So each setting
//! is declared once, here or in the server's own settings, and `--help` shows all of them.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{
    Args, CommandFactory, FromArgMatches,
    builder::{OsStr, Resettable},
    error::ErrorKind,
};

use super::{bounds, environment};

/// The largest pool. Few databases let in as many clients.
const MAX_POOL: i64 = 10_000;
/// The largest settings file, in bytes.
pub const MAX_FILE: u64 = 1 << 20;

const CONFIG_ENV: &str = "CIRCLE_REGISTRY_CONFIG";

/// The database and the pool of connections to it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Database")]
pub struct DatabaseSettings {
    /// TOML file with settings; its keys are the long flags' names with underscores
    #[arg(long, global = true, env = CONFIG_ENV, value_name = "FILE", help_heading = Resettable::Reset)]
    pub config: Option<PathBuf>,

    /// Database URL: sqlite:FILE, sqlite::memory: or postgres://USER:PASSWORD@HOST:PORT/NAME. Takes
    /// precedence over --db-host and its companions [default: sqlite:circle-registry.db]
    #[arg(long, global = true, env = "DATABASE_URL", value_name = "URL")]
    pub database_url: Option<String>,

    /// PostgreSQL host name, IP address or socket directory, if no URL is set. May name its port, as in
    /// `db.example:5433`. Several are separated by commas
    #[arg(long, global = true, env = "DB_HOST", value_name = "HOST")]
    pub db_host: Option<String>,

    /// PostgreSQL port [default: 5432]
    #[arg(
        long,
        global = true,
        env = "DB_PORT",
        value_name = "PORT",
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub db_port: Option<u16>,

    /// PostgreSQL database name
    #[arg(
        long,
        global = true,
        env = "DB_NAME",
        value_name = "NAME",
        default_value = "circle_registry"
    )]
    pub db_name: String,

    /// PostgreSQL user
    #[arg(
        long,
        global = true,
        env = "DB_USER",
        value_name = "USER",
        default_value = "circle_registry"
    )]
    pub db_user: String,

    /// PostgreSQL password
    #[arg(long, global = true, env = "DB_PASSWORD", value_name = "PASSWORD")]
    pub db_password: Option<String>,

    /// Connections that the pool keeps open [default: 4, or the maximum if that is smaller]
    #[arg(long, global = true, env = "DB_POOL_MIN", value_name = "N", value_parser = clap::value_parser!(u32).range(..=MAX_POOL))]
    pub db_pool_min: Option<u32>,

    /// Maximum connections in the pool [default: 20 on PostgreSQL, 4 on SQLite]
    #[arg(long, global = true, env = "DB_POOL_MAX", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_POOL))]
    pub db_pool_max: Option<u32>,

    /// Time limit for getting a connection from the pool
    #[arg(long, global = true, env = "DB_ACQUIRE_TIMEOUT", value_name = "TIME", default_value = "2s", value_parser = bounds::timeout)]
    pub db_acquire_timeout: Duration,

    /// Time limit for one statement (PostgreSQL)
    #[arg(long, global = true, env = "DB_STATEMENT_TIMEOUT", value_name = "TIME", default_value = "5s", value_parser = bounds::timeout)]
    pub db_statement_timeout: Duration,

    /// Time limit for waiting on a lock; on SQLite, on another writer
    #[arg(long, global = true, env = "DB_LOCK_TIMEOUT", value_name = "TIME", default_value = "4s", value_parser = bounds::timeout)]
    pub db_lock_timeout: Duration,

    /// Time limit for an idle transaction, after which the database ends it (PostgreSQL)
    #[arg(long, global = true, env = "DB_IDLE_IN_TRANSACTION_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = bounds::timeout)]
    pub db_idle_in_transaction_timeout: Duration,

    /// Time after which connections beyond the minimum are closed that were not needed at once
    #[arg(long, global = true, env = "DB_IDLE_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = bounds::timeout)]
    pub db_idle_timeout: Duration,

    /// Age at which a connection is replaced
    #[arg(long, global = true, env = "DB_MAX_LIFETIME", value_name = "TIME", default_value = "30m", value_parser = bounds::timeout)]
    pub db_max_lifetime: Duration,
}

/// How to treat a key of the settings file that the command does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownKeys {
    /// As an error.
    Refuse,
    /// As a setting of another command that reads the same file.
    Ignore,
}

/// Parses the command line. The settings file that it or the environment names supplies defaults.
///
/// # Errors
/// What clap prints before it exits, also for a settings file that is invalid.
pub fn parse<P: CommandFactory + FromArgMatches>(
    arguments: impl IntoIterator<Item = OsString>,
    unknown: UnknownKeys,
) -> Result<P, clap::Error> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut command = P::command();
    if let Some(path) = config_path(&arguments) {
        command = with_file(command, &path, unknown)?;
    }
    command = environment::choose_variables(command, &arguments);
    let matches = command.clone().try_get_matches_from(&arguments);
    let mut matches =
        matches.map_err(|error| environment::explain(error, command.clone(), &arguments))?;
    P::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

fn config_path(arguments: &[OsString]) -> Option<PathBuf> {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.to_str() {
            Some("--config") => return rest.next().map(PathBuf::from),
            Some(text) => {
                if let Some(path) = text.strip_prefix("--config=") {
                    return Some(path.into());
                }
            }
            None => {}
        }
    }
    environment::value(CONFIG_ENV).map(PathBuf::from)
}

fn with_file(
    mut command: clap::Command,
    path: &Path,
    unknown: UnknownKeys,
) -> Result<clap::Command, clap::Error> {
    let failure = |command: &mut clap::Command, detail: String| {
        command.error(
            ErrorKind::InvalidValue,
            format!("settings file {}: {detail}", path.display()),
        )
    };
    let text = bounds::read_to_string(path, MAX_FILE)
        .map_err(|error| failure(&mut command, error.to_string()))?;
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| failure(&mut command, error.message().to_owned()))?;
    for (key, value) in table {
        let known = key != "config" && command.get_arguments().any(|arg| arg.get_id() == &*key);
        match (known, value) {
            (false, _) if unknown == UnknownKeys::Ignore => {}
            (false, _) => return Err(failure(&mut command, format!("unknown key `{key}`"))),
            (true, toml::Value::Table(_) | toml::Value::Array(_)) => {
                return Err(failure(&mut command, format!("`{key}` must be one value")));
            }
            (true, toml::Value::String(text)) => command = with_default(command, key, text),
            (true, other) => command = with_default(command, key, other.to_string()),
        }
    }
    Ok(command)
}

fn with_default(command: clap::Command, key: String, value: String) -> clap::Command {
    command.mut_arg(key, |argument| {
        argument
            .default_value(OsStr::from(value))
            .hide_default_value(true)
    })
}
