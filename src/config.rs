//! Every setting of the server, documented beside its default. `docs/configuration.md` is generated
//! from these doc comments. The settings of the database are in the migration crate, because the
//! migration runner reads them, too.

mod replicas;
mod traces;
mod webhooks;

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use clap::{
    Args, ValueEnum,
    builder::{BoolishValueParser, RangedU64ValueParser},
};
use ipnet::IpNet;
use migration::{bounds, settings::DatabaseSettings};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};
use url::Url;

pub use replicas::ReplicaSettings;
pub use traces::TraceSettings;
pub use webhooks::WebhookSettings;

/// The highest rate limit. The time between two requests must not round to nothing, which is no limit.
const MAX_RATE: i64 = 1_000_000;

const DEFAULT_PORT: u16 = 8000;
/// The port of OpenTelemetry's exporters for Prometheus.
const DEFAULT_METRICS_PORT: u16 = 9464;
const NOT_AN_ADDRESS: &str =
    "must be an IP address or localhost, with or without a port, such as 127.0.0.1:8000";

/// Parses a number from one to `max`.
fn count(max: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=max)
}

/// Parses a path of one or more segments, without the slash at its end.
fn base_path(text: &str) -> Result<String, &'static str> {
    const MAX_LENGTH: usize = 256;
    let path = text.strip_suffix('/').unwrap_or(text);
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_segment =
        |segment: &str| segment.bytes().all(is_allowed) && !matches!(segment, "" | "." | "..");
    match path.strip_prefix('/') {
        Some(rest) if path.len() <= MAX_LENGTH && rest.split('/').all(is_segment) => {
            Ok(path.to_owned())
        }
        _ => Err("must be a path of letters, digits, `-`, `.`, `_` and `~`, such as /registry"),
    }
}

/// Parses a network, or an address as a network of one.
fn network(text: &str) -> Result<IpNet, &'static str> {
    let address = || text.parse().map(|address: IpAddr| address.into());
    let network = text.parse().or_else(|_| address());
    network.map_err(|_| "must be an address, or a network such as 10.0.0.0/8")
}

/// All settings. Each is read from its flag, its environment variable, the settings file or its
/// default, in this order of precedence.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    #[command(flatten)]
    pub server: ServerSettings,
    #[command(flatten)]
    pub database: DatabaseSettings,
    #[command(flatten)]
    pub replicas: ReplicaSettings,
    #[command(flatten)]
    pub log: LogSettings,
    #[command(flatten)]
    pub retention: RetentionSettings,
    #[command(flatten)]
    pub webhooks: WebhookSettings,
    #[command(flatten)]
    pub traces: TraceSettings,
}

/// How the server listens, what it accepts and how it stops.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub struct ServerSettings {
    /// Address to listen on, with or without a port: `127.0.0.1:8000`, `[::]:8000`, `localhost`, or
    /// `:8000` for all IPv4 addresses
    #[arg(
        long,
        global = true,
        env = "BIND",
        value_name = "ADDR",
        default_value = "127.0.0.1"
    )]
    pub bind: ListenAddress,

    /// Port to listen on, if --bind names none [default: 8000]
    #[arg(
        long,
        global = true,
        env = "PORT",
        value_name = "PORT",
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub port: Option<u16>,

    /// Address on which /metrics is served to anyone, without keys and TLS, beside the one for keys with `read`: for a network
    /// that only those reach who collect metrics; port 9464 if it names none
    #[arg(long, global = true, env = "METRICS_BIND", value_name = "ADDR")]
    pub metrics_bind: Option<ListenAddress>,

    /// PEM certificate chain, the server's own certificate first. Enables HTTPS, requires --tls-key;
    /// reloaded when the file changes
    #[arg(long, global = true, env = "TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// PEM private key of the certificate; reloaded when the file changes
    #[arg(long, global = true, env = "TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Listen on an address that other machines can reach even if no usable API key exists, and accept
    /// requests through a proxy
    #[arg(
        long,
        global = true,
        env = "INSECURE",
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        hide_default_value = true,
        value_parser = BoolishValueParser::new()
    )]
    pub insecure: bool,

    /// Refuse to start if no usable API key exists
    #[arg(
        long,
        global = true,
        env = "REQUIRE_KEY",
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        hide_default_value = true,
        value_parser = BoolishValueParser::new()
    )]
    pub require_key: bool,

    /// Host name to accept while no API key exists, in addition to localhost and loopback addresses.
    /// Repeatable, or comma-separated
    #[arg(
        long,
        global = true,
        env = "ALLOWED_HOST",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub allowed_host: Vec<String>,

    /// Proxy whose `X-Forwarded-For` names its clients, as an address or a network such as 10.0.0.0/8. The log, the
    /// audit trail and the rate limits then know the clients' addresses instead of the proxy's. Repeatable, or comma-separated
    #[arg(
        long,
        global = true,
        env = "TRUSTED_PROXY",
        value_name = "NETWORK",
        value_delimiter = ',',
        value_parser = network
    )]
    pub trusted_proxy: Vec<IpNet>,

    /// Path under which a proxy publishes the service, such as /registry: it is put before the paths in `Location`
    /// and in the description, and removed from the paths of requests that begin with it
    #[arg(long, global = true, env = "BASE_PATH", value_name = "PATH", value_parser = base_path)]
    pub base_path: Option<String>,

    /// Send every response as it is, instead of compressed to clients that accept gzip
    #[arg(
        long,
        global = true,
        env = "NO_COMPRESSION",
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        hide_default_value = true,
        value_parser = BoolishValueParser::new()
    )]
    pub no_compression: bool,

    /// Interval between checks for the first API key while none exists
    #[arg(long, global = true, env = "KEY_CHECK_INTERVAL", value_name = "TIME", default_value = "1s", value_parser = bounds::timeout)]
    pub key_check_interval: Duration,

    /// Origin whose pages may read responses (CORS), such as `https://console.example`. Repeatable, or
    /// comma-separated
    #[arg(
        long,
        global = true,
        env = "CORS_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    pub cors_origin: Vec<CorsOrigin>,

    /// Refuse to start on an outdated schema instead of migrating it
    #[arg(
        long,
        global = true,
        env = "NO_MIGRATE",
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        hide_default_value = true,
        value_parser = BoolishValueParser::new()
    )]
    pub no_migrate: bool,

    /// Maximum client connections; excess connections are closed at once
    #[arg(
        long,
        global = true,
        env = "MAX_CONNECTIONS",
        value_name = "N",
        default_value_t = 10_000,
        value_parser = count(1_000_000)
    )]
    pub max_connections: usize,

    /// Maximum client connections from one address, or from one /64 network of IPv6; excess connections
    /// are closed at once. A proxy is one address
    #[arg(
        long,
        global = true,
        env = "MAX_CONNECTIONS_PER_ADDRESS",
        value_name = "N",
        default_value_t = 1000,
        value_parser = count(1_000_000)
    )]
    pub max_connections_per_address: usize,

    /// Maximum concurrent requests; excess requests get 503 with Retry-After
    #[arg(
        long,
        global = true,
        env = "MAX_CONCURRENT_REQUESTS",
        value_name = "N",
        default_value_t = 256,
        value_parser = count(100_000)
    )]
    pub max_concurrent_requests: usize,

    /// Maximum open event streams (`GET /v1/events`), which are no concurrent requests; excess ones get 503
    #[arg(
        long,
        global = true,
        env = "MAX_EVENT_STREAMS",
        value_name = "N",
        default_value_t = 1000,
        value_parser = count(100_000)
    )]
    pub max_event_streams: usize,

    /// Memory for all responses together, in MiB, including those that clients have not read yet; excess
    /// requests get 503 with Retry-After
    #[arg(
        long,
        global = true,
        env = "RESPONSE_MEMORY_MIB",
        value_name = "MIB",
        default_value_t = 256,
        value_parser = RangedU64ValueParser::<usize>::new().range(32..=65_536)
    )]
    pub response_memory_mib: usize,

    /// Time limit for receiving the head of a request
    #[arg(long, global = true, env = "HEADER_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = bounds::timeout)]
    pub header_timeout: Duration,

    /// Time limit for receiving the body of a request, plus one second per 10 kB received
    #[arg(long, global = true, env = "BODY_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = bounds::timeout)]
    pub body_timeout: Duration,

    /// Time limit for responding to a request
    #[arg(long, global = true, env = "REQUEST_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = bounds::timeout)]
    pub request_timeout: Duration,

    /// Time limit for reading a response of which nothing moves; on HTTP/2 also for the whole response,
    /// plus one second per 10 kB read
    #[arg(long, global = true, env = "RESPONSE_READ_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = bounds::timeout)]
    pub response_read_timeout: Duration,

    /// Time that an idle connection stays open between requests
    #[arg(long, global = true, env = "KEEP_ALIVE_TIMEOUT", value_name = "TIME", default_value = "75s", value_parser = bounds::timeout)]
    pub keep_alive_timeout: Duration,

    /// Reads per second allowed for each API key, or for each address without one; 0 disables the
    /// limit
    #[arg(
        long,
        global = true,
        env = "RATE_LIMIT_READS",
        value_name = "N",
        default_value_t = 2000,
        value_parser = clap::value_parser!(u32).range(..=MAX_RATE)
    )]
    pub rate_limit_reads: u32,

    /// Writes per second allowed for each API key, or for each address without one; 0 disables the
    /// limit
    #[arg(
        long,
        global = true,
        env = "RATE_LIMIT_WRITES",
        value_name = "N",
        default_value_t = 500,
        value_parser = clap::value_parser!(u32).range(..=MAX_RATE)
    )]
    pub rate_limit_writes: u32,

    /// Invalid tokens per minute allowed for each address; 0 disables the limit
    #[arg(
        long,
        global = true,
        env = "RATE_LIMIT_AUTH_FAILURES",
        value_name = "N",
        default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(..=MAX_RATE)
    )]
    pub rate_limit_auth_failures: u32,

    /// Size of the cache of rosters and of the handles of releases in MiB; 0 disables it
    #[arg(
        long,
        global = true,
        env = "ROSTER_CACHE_MIB",
        value_name = "MIB",
        default_value = "48",
        value_parser = clap::value_parser!(u64).range(..=65_536)
    )]
    pub roster_cache_mib: u64,

    /// Memberships of an agent that its deletion or restoration ends or restores in its own transaction; more
    /// are ended or restored afterwards, in the background
    #[arg(
        long,
        global = true,
        env = "MEMBERSHIPS_AT_ONCE",
        value_name = "N",
        default_value_t = 1000,
        value_parser = clap::value_parser!(u64).range(1..=50_000)
    )]
    pub memberships_at_once: u64,

    /// Interval between looks for memberships to end or restore in the background
    #[arg(long, global = true, env = "MEMBERSHIP_JOB_INTERVAL", value_name = "TIME", default_value = "5s", value_parser = bounds::timeout)]
    pub membership_job_interval: Duration,

    /// Time to keep accepting requests after a stop signal, while /readyz responds with 503
    #[arg(long, global = true, env = "SHUTDOWN_DELAY", value_name = "TIME", default_value = "1s", value_parser = bounds::delay)]
    pub shutdown_delay: Duration,

    /// Time limit for requests in flight after the shutdown delay
    #[arg(long, global = true, env = "SHUTDOWN_TIMEOUT", value_name = "TIME", default_value = "20s", value_parser = bounds::delay)]
    pub shutdown_timeout: Duration,

    /// Time limit for closing the database pool at shutdown
    #[arg(long, global = true, env = "POOL_CLOSE_TIMEOUT", value_name = "TIME", default_value = "5s", value_parser = bounds::delay)]
    pub pool_close_timeout: Duration,
}

impl ServerSettings {
    /// The address and port to listen on.
    pub fn address(&self) -> SocketAddr {
        let port = self.bind.port.or(self.port).unwrap_or(DEFAULT_PORT);
        SocketAddr::new(self.bind.ip, port)
    }

    /// The address and port on which metrics are served to anyone.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        let address = self.metrics_bind?;
        let port = address.port.unwrap_or(DEFAULT_METRICS_PORT);
        Some(SocketAddr::new(address.ip, port))
    }

    /// Whether only this machine reaches the address that the server listens on.
    pub(crate) fn is_loopback(&self) -> bool {
        self.bind.ip.to_canonical().is_loopback()
    }
}

/// An address to listen on, and its port if it names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    pub ip: IpAddr,
    pub port: Option<u16>,
}

impl FromStr for ListenAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            let (ip, port) = (address.ip(), Some(address.port()));
            return Ok(Self { ip, port });
        }
        let bracketed = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        if let Ok(ip) = bracketed.unwrap_or(text).parse() {
            return Ok(Self { ip, port: None });
        }
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, port.parse().ok()),
            None => (text, None),
        };
        let ip = match name {
            "localhost" => Ipv4Addr::LOCALHOST,
            "" => Ipv4Addr::UNSPECIFIED,
            _ => return Err(NOT_AN_ADDRESS),
        };
        if port.is_none() && text != "localhost" {
            return Err(NOT_AN_ADDRESS);
        }
        Ok(Self {
            ip: ip.into(),
            port,
        })
    }
}

/// An origin as browsers send it: scheme, host and, unless it is the scheme's default, port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsOrigin(String);

impl CorsOrigin {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CorsOrigin {
    type Err = &'static str;

    /// Accepts only the exact form that a browser sends; any other would never match.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let origin = Url::parse(text).map(|url| url.origin().ascii_serialization());
        match origin {
            Ok(origin) if origin == text && text.starts_with("http") => Ok(Self(origin)),
            _ => Err("must be an origin such as https://console.example or http://localhost:3000"),
        }
    }
}

/// What is logged, and in which format. Logs go to standard error.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Log")]
pub struct LogSettings {
    /// Log filter: a level, or levels by module such as `info,circle_registry=debug`
    #[arg(
        long,
        global = true,
        env = "RUST_LOG",
        value_name = "FILTER",
        default_value = "info,sea_orm_migration=warn",
        value_parser = log_filter
    )]
    pub log: String,

    /// Format of log lines
    #[arg(
        long,
        global = true,
        env = "LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,
}

/// What `circle-registry prune` keeps.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Retention")]
pub struct RetentionSettings {
    /// How long audit entries and moves of labels are kept, at least 30d [default: for ever]
    #[arg(long, global = true, env = "KEEP_AUDIT", value_name = "TIME", value_parser = bounds::retention::<30>)]
    pub keep_audit: Option<Duration>,

    /// How long completed conversations are kept with their messages, at least 1d [default: for ever]
    #[arg(long, global = true, env = "KEEP_CONVERSATIONS", value_name = "TIME", value_parser = bounds::retention::<1>)]
    pub keep_conversations: Option<Duration>,

    /// How many of its newest releases each circle keeps; those that a label points to are kept besides [default: all]
    #[arg(long, global = true, env = "KEEP_RELEASES", value_name = "N", value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
    pub keep_releases: Option<i64>,
}

/// Checks a log filter. `EnvFilter` takes a word that is no level for a module, and then logs nothing else:
/// a mistyped level would silence the log.
fn log_filter(text: &str) -> Result<String, String> {
    let complaint = |cause: &dyn fmt::Display| {
        format!(
            "{cause}; RUST_LOG and --log take a level (error, warn, info, debug, trace or off), or levels by module as in info,circle_registry=debug"
        )
    };
    EnvFilter::try_new(text).map_err(|cause| complaint(&cause))?;
    let words = text.split(',').map(str::trim);
    let mut words = words.filter(|word| !word.is_empty() && !word.contains(['=', '[']));
    match words.find(|word| word.parse::<LevelFilter>().is_err()) {
        Some(word) => Err(complaint(&format_args!("`{word}` is no level"))),
        None => Ok(text.to_owned()),
    }
}

/// A format of output, for log lines and reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    Text,
    /// JSON for programs, one object per line
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_would_silence_the_log_is_refused() {
        for text in [
            "info",
            "WARN",
            "off",
            "",
            "2",
            "debug,sqlx=warn",
            "a::b=trace,error",
            "info,[request{id=1}]=trace",
        ] {
            assert!(log_filter(text).is_ok(), "{text}");
        }
        for text in [
            "debgu",
            "inof,sqlx=warn",
            "sqlx=warn,circle_registry",
            "sqlx=loud",
            "=",
            "a b",
        ] {
            let complaint = log_filter(text).expect_err(text);
            assert!(complaint.contains("RUST_LOG"), "{complaint}");
        }
    }
}
