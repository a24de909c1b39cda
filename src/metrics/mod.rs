//! Metrics for Prometheus, named by OpenTelemetry's semantic conventions (1.37) where these have a name.
//!
//! Labels are bounded: routes are templates, and codes are those that the service has. Requests and
//! statements are measured as they end; everything else is read when Prometheus asks.
//!
//! Imports `http` and `database`. Start with [`Metrics::to_text`].

mod requests;
mod server;

use std::time::Duration;

use chrono::TimeDelta;
use entity::values::now;
use poem_openapi::payload::PlainText;
use prometheus::{
    Gauge, IntCounterVec, IntGauge, IntGaugeVec, Opts, TextEncoder, core::Collector,
    proto::MetricFamily,
};
use sea_orm::DbErr;
use tokio::time::timeout;

use crate::{
    changes,
    database::{Database, PoolStatistics, Replicas},
    error::Error,
    http::{BodyCache, CacheStatistics},
    traces::Traces,
    webhooks::WebhookMetrics,
};

pub(crate) use requests::RequestMetrics;
pub(crate) use server::endpoint;

/// How long a scrape waits for the database.
const LAG_TIMEOUT: Duration = Duration::from_secs(1);

/// What there is to measure. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) requests: RequestMetrics,
    database: Database,
    pub(crate) replicas: Option<Replicas>,
    pub(crate) bodies: BodyCache,
    /// Open streams of events.
    pub(crate) event_streams: IntGauge,
    pub(crate) webhooks: WebhookMetrics,
    pub(crate) traces: Traces,
}

impl Metrics {
    pub(crate) fn new(
        database: Database,
        replicas: Option<Replicas>,
        bodies: BodyCache,
        traces: Traces,
    ) -> Self {
        Self {
            requests: RequestMetrics::default(),
            database,
            replicas,
            bodies,
            event_streams: IntGauge::new(
                "circle_registry_event_streams",
                "Open streams of events.",
            )
            .expect("a sound name"),
            webhooks: WebhookMetrics::default(),
            traces,
        }
    }

    /// All metrics in Prometheus' text format, version 0.0.4. What only the database knows is left out if it does not
    /// answer in time.
    pub(crate) async fn to_text(&self) -> Result<PlainText<String>, Error> {
        let mut families = self.requests.collect();
        families.extend(self.event_streams.collect());
        families.extend(self.webhooks.collect());
        families.extend(self.traces.collect_metrics());
        families.extend(self.feed_lag().await);
        families.extend(self.database.collect_metrics());
        families.extend(self.replicas.iter().flat_map(Replicas::collect_metrics));
        families.extend(of_pool(&self.database.statistics()));
        families.extend(of_cache(&self.bodies.statistics()));
        families.extend(gauge(
            "circle_registry_build_info",
            "The version of this program, as a label.",
            "version",
            [(env!("CARGO_PKG_VERSION"), 1)],
        ));
        #[cfg(target_os = "linux")]
        families.extend(prometheus::process_collector::ProcessCollector::for_self().collect());
        // The encoder refuses a metric that has no series yet.
        families.retain(|family| !family.get_metric().is_empty());
        let text = TextEncoder::new().encode_to_string(&families);
        text.map(PlainText)
            .map_err(|error| Error::Database(DbErr::Custom(error.to_string())))
    }

    async fn feed_lag(&self) -> Vec<MetricFamily> {
        let Some(probe) = self.database.probe() else {
            return of_feed(TimeDelta::zero());
        };
        match timeout(LAG_TIMEOUT, changes::held_back_since(probe)).await {
            Ok(Ok(since)) => of_feed(since.map_or_else(TimeDelta::zero, |since| now() - since)),
            Ok(Err(_)) => Vec::new(),
            Err(_) => {
                self.database.distrust_connections();
                Vec::new()
            }
        }
    }
}

fn of_feed(held_back: TimeDelta) -> Vec<MetricFamily> {
    let gauge = Gauge::new(
        "circle_registry_changes_held_back_seconds",
        "For how long a transaction on the database server has held back the feed of changes.",
    );
    let gauge = gauge.expect("a sound name");
    gauge.set(held_back.as_seconds_f64());
    gauge.collect()
}

fn of_pool(pool: &PoolStatistics) -> Vec<MetricFamily> {
    let mut families = gauge(
        "db_client_connection_count",
        "Open connections to the database, by state.",
        "db_client_connection_state",
        [("idle", pool.idle.into()), ("used", pool.in_use.into())],
    );
    for (name, help, connections) in [
        (
            "db_client_connection_max",
            "The maximum number of open connections to the database.",
            pool.max,
        ),
        (
            "db_client_connection_idle_min",
            "The number of connections to the database that stay open.",
            pool.min,
        ),
    ] {
        families.extend(gauge(
            name,
            help,
            "db_system_name",
            [(pool.backend, connections.into())],
        ));
    }
    families.extend(counter(
        "db_client_connection_timeouts_total",
        "Requests that gave up waiting for a connection to the database.",
        "db_system_name",
        [(pool.backend, pool.timed_out)],
    ));
    families
}

fn of_cache(cache: &CacheStatistics) -> Vec<MetricFamily> {
    let mut families = counter(
        "circle_registry_cache_requests_total",
        "Rosters, and handles of releases, that were served from the cache (hit) or read from the database (miss).",
        "result",
        [("hit", cache.hits), ("miss", cache.misses)],
    );
    let measured = [
        ("entries", cache.bodies.try_into().unwrap_or(i64::MAX)),
        ("bytes", cache.bytes.try_into().unwrap_or(i64::MAX)),
    ];
    families.extend(gauge(
        "circle_registry_cache_size",
        "The cache of rosters and of handles of releases, in entries and in bytes.",
        "unit",
        measured,
    ));
    families
}

/// A gauge of what is read now: a series for each value of the label.
fn gauge<const N: usize>(
    name: &str,
    help: &str,
    label: &str,
    values: [(&str, i64); N],
) -> Vec<MetricFamily> {
    let gauge = IntGaugeVec::new(Opts::new(name, help), &[label]).expect("a sound name");
    for (label, value) in values {
        gauge.with_label_values(&[label]).set(value);
    }
    gauge.collect()
}

/// A counter that is counted elsewhere.
fn counter<const N: usize>(
    name: &str,
    help: &str,
    label: &str,
    values: [(&str, u64); N],
) -> Vec<MetricFamily> {
    let counter = IntCounterVec::new(Opts::new(name, help), &[label]).expect("a sound name");
    for (label, value) in values {
        counter.with_label_values(&[label]).inc_by(value);
    }
    counter.collect()
}
