//! Every setting of the server, documented beside its default. Those of the database are in the
//! migration crate, because the migration runner reads the same ones.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, ValueEnum};
use migration::settings::DatabaseSettings;
use url::Url;

/// All settings. Each can come from its flag, its environment variable, the settings file or its
/// default, in that order.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    #[command(flatten)]
    pub server: ServerSettings,
    #[command(flatten)]
    pub database: DatabaseSettings,
    #[command(flatten)]
    pub log: LogSettings,
}

/// How the server listens and how it stops.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub struct ServerSettings {
    /// Address to listen on
    #[arg(
        long,
        global = true,
        env = "BIND",
        value_name = "ADDR",
        default_value = "127.0.0.1:8000"
    )]
    pub bind: SocketAddr,

    /// Certificate in PEM format, with those that vouch for it after it: serve by HTTPS, and take
    /// it anew when the file changes
    #[arg(long, global = true, env = "TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// The certificate's private key, in PEM format
    #[arg(long, global = true, env = "TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Start on an address that others can reach though there is no usable API key
    #[arg(
        long,
        global = true,
        env = "INSECURE",
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub insecure: bool,

    /// A further name of the host, by which a service without keys answers beside 127.0.0.1 and
    /// localhost; can be given more than once
    #[arg(
        long,
        global = true,
        env = "ALLOWED_HOST",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub allowed_host: Vec<String>,

    /// How long to believe that there are no API keys, after none were found
    #[arg(long, global = true, env = "KEY_CHECK_INTERVAL", value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    pub key_check_interval: Duration,

    /// Refuse to start on an old schema, in place of bringing it up to date
    #[arg(
        long,
        global = true,
        env = "NO_MIGRATE",
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub no_migrate: bool,

    /// Connections at most; one beyond it is closed at once
    #[arg(
        long,
        global = true,
        env = "MAX_CONNECTIONS",
        value_name = "N",
        default_value_t = 10_000
    )]
    pub max_connections: usize,

    /// How long a client may take for the head of a request
    #[arg(long, global = true, env = "HEADER_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub header_timeout: Duration,

    /// How long a client may take for the body of a request; a second more for each 10 kB of it
    #[arg(long, global = true, env = "BODY_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub body_timeout: Duration,

    /// Site whose pages may read the answers, as `https://console.example`; can be given more than once
    #[arg(
        long,
        global = true,
        env = "CORS_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    pub cors_origin: Vec<Origin>,

    /// Requests that may be at work at once; one beyond it is told to come again
    #[arg(
        long,
        global = true,
        env = "MAX_REQUESTS",
        value_name = "N",
        default_value_t = 256
    )]
    pub max_requests: usize,

    /// Reads a second that one API key, or one address without, may ask for; 0 for no limit
    #[arg(
        long,
        global = true,
        env = "RATE_READS",
        value_name = "N",
        default_value_t = 2000
    )]
    pub rate_reads: u32,

    /// Writes a second that one API key, or one address without, may ask for; 0 for no limit
    #[arg(
        long,
        global = true,
        env = "RATE_WRITES",
        value_name = "N",
        default_value_t = 500
    )]
    pub rate_writes: u32,

    /// Tokens a minute that one address may be wrong with; 0 for no limit
    #[arg(
        long,
        global = true,
        env = "RATE_AUTH_FAILURES",
        value_name = "N",
        default_value_t = 10
    )]
    pub rate_auth_failures: u32,

    /// How long a client is made to wait for an answer
    #[arg(long, global = true, env = "REQUEST_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub request_timeout: Duration,

    /// How long a connection may stay open between requests
    #[arg(long, global = true, env = "KEEP_ALIVE_TIMEOUT", value_name = "TIME", default_value = "75s", value_parser = humantime::parse_duration)]
    pub keep_alive_timeout: Duration,

    /// How many MiB of rosters to keep, to be sent again while nothing in them has changed; 0 for none
    #[arg(
        long,
        global = true,
        env = "ROSTER_CACHE",
        value_name = "MIB",
        default_value = "16",
        value_parser = clap::value_parser!(u64).range(..=65_536)
    )]
    pub roster_cache: u64,

    /// How long, once told to stop, the server goes on accepting while /readyz says 503
    #[arg(long, global = true, env = "SHUTDOWN_DELAY", value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    pub shutdown_delay: Duration,

    /// How long requests in flight may take to finish after that
    #[arg(long, global = true, env = "SHUTDOWN_TIMEOUT", value_name = "TIME", default_value = "20s", value_parser = humantime::parse_duration)]
    pub shutdown_timeout: Duration,

    /// How long the pool may take to close after that
    #[arg(long, global = true, env = "POOL_CLOSE_TIMEOUT", value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    pub pool_close_timeout: Duration,
}

impl ServerSettings {
    /// Whether only this machine reaches the address that the server listens on.
    pub(crate) fn is_loopback(&self) -> bool {
        self.bind.ip().to_canonical().is_loopback()
    }
}

/// A site, as browsers name it: scheme, host and, where it is not the usual one, port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = &'static str;

    /// Exactly what a browser would send, so that nothing is listed in vain.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let origin = Url::parse(text).map(|url| url.origin().ascii_serialization());
        match origin {
            Ok(origin) if origin == text && text.starts_with("http") => Ok(Self(origin)),
            _ => Err("must be an origin, as https://console.example or http://localhost:3000"),
        }
    }
}

/// What is logged, and how. Logs go to standard error.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Log")]
pub struct LogSettings {
    /// What to log: a level, or levels for modules as in `info,circle_registry=debug`
    #[arg(
        long,
        global = true,
        env = "RUST_LOG",
        value_name = "FILTER",
        default_value = "info,sea_orm_migration=warn"
    )]
    pub log: String,

    /// How log lines look
    #[arg(
        long,
        global = true,
        env = "LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// For programs, one JSON object a line
    Json,
}
