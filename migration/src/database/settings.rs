//! Which database, and how its pool behaves.
//!
//! Every setting can come from a flag, from the environment, from a TOML file or from its default,
//! in that order. The file works by replacing defaults before the command line is parsed, so each
//! setting is declared once, here or in the server's own settings, and `--help` shows it all.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, CommandFactory, FromArgMatches, builder::OsStr, error::ErrorKind};

const CONFIG_ENV: &str = "CIRCLE_REGISTRY_CONFIG";

/// Where the database is and how the pool of connections to it behaves.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Database")]
pub struct DatabaseSettings {
    /// TOML file with further settings; its keys are the names of the long flags with underscores
    #[arg(long, global = true, env = CONFIG_ENV, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// sqlite:FILE, sqlite::memory: or postgres://USER:PASSWORD@HOST:PORT/NAME; where it is given,
    /// the --db-host family is not looked at [default: sqlite:circle-registry.db]
    #[arg(
        long,
        global = true,
        env = "DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub database_url: Option<String>,

    /// PostgreSQL host (or directory of its socket)
    #[arg(long, global = true, env = "DB_HOST", value_name = "HOST")]
    pub db_host: Option<String>,

    /// PostgreSQL port
    #[arg(
        long,
        global = true,
        env = "DB_PORT",
        value_name = "PORT",
        default_value_t = 5432
    )]
    pub db_port: u16,

    /// PostgreSQL database
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
    #[arg(
        long,
        global = true,
        env = "DB_PASSWORD",
        hide_env_values = true,
        value_name = "PASSWORD"
    )]
    pub db_password: Option<String>,

    /// Connections kept open [default: 4, or the maximum where that is smaller]
    #[arg(long, global = true, env = "DB_POOL_MIN", value_name = "N")]
    pub db_pool_min: Option<u32>,

    /// Connections at most [default: 20 on PostgreSQL, 4 on SQLite]
    #[arg(long, global = true, env = "DB_POOL_MAX", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub db_pool_max: Option<u32>,

    /// How long a request may wait for a connection
    #[arg(long, global = true, env = "DB_ACQUIRE_TIMEOUT", value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration)]
    pub db_acquire_timeout: Duration,

    /// How long one statement may run (PostgreSQL)
    #[arg(long, global = true, env = "DB_STATEMENT_TIMEOUT", value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    pub db_statement_timeout: Duration,

    /// How long a statement may wait for a lock; on SQLite, for the one writer's place
    #[arg(long, global = true, env = "DB_LOCK_TIMEOUT", value_name = "TIME", default_value = "4s", value_parser = humantime::parse_duration)]
    pub db_lock_timeout: Duration,

    /// How long a transaction may sit idle before the server ends it (PostgreSQL)
    #[arg(long, global = true, env = "DB_IDLE_IN_TRANSACTION_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub db_idle_in_transaction_timeout: Duration,

    /// How long a connection may sit unused before it is closed
    #[arg(long, global = true, env = "DB_IDLE_TIMEOUT", value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    pub db_idle_timeout: Duration,

    /// How old a connection may grow before it is replaced
    #[arg(long, global = true, env = "DB_MAX_LIFETIME", value_name = "TIME", default_value = "30m", value_parser = humantime::parse_duration)]
    pub db_max_lifetime: Duration,
}

/// What to do with a key of the settings file that the command does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownKeys {
    /// It is a mistake.
    Refuse,
    /// It belongs to another command that reads the same file.
    Ignore,
}

/// Parses a command line on top of the settings file that it, or the environment, names.
///
/// # Errors
/// What clap would print and exit with, a settings file that can't be used included.
pub fn parse<P: CommandFactory + FromArgMatches>(
    arguments: impl IntoIterator<Item = OsString>,
    unknown: UnknownKeys,
) -> Result<P, clap::Error> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut command = P::command();
    if let Some(path) = config_path(&arguments) {
        command = with_file(command, &path, unknown)?;
    }
    let mut matches = command.clone().try_get_matches_from(arguments)?;
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
    std::env::var_os(CONFIG_ENV).map(PathBuf::from)
}

fn with_file(
    mut command: clap::Command,
    path: &PathBuf,
    unknown: UnknownKeys,
) -> Result<clap::Command, clap::Error> {
    let failure = |command: &mut clap::Command, detail: String| {
        command.error(
            ErrorKind::InvalidValue,
            format!("settings file {}: {detail}", path.display()),
        )
    };
    let text =
        std::fs::read_to_string(path).map_err(|error| failure(&mut command, error.to_string()))?;
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
