//! Probes and statistics for operators.

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{Object, OpenApi, payload::PlainText};
use serde::Serialize;

use crate::{
    changes,
    database::{Database, PoolStatistics},
    error::Error,
    http::{Body, BodyCache, CacheStatistics, Shared, Tag},
    lifecycle::{Lifecycle, Phase},
    metrics::Metrics,
};

/// Whether the service is alive.
#[derive(Debug, Object, Serialize)]
pub(crate) struct Health {
    /// Always `ok`: otherwise the response is a problem.
    status: String,
}

/// Whether the service is ready.
#[derive(Debug, Object, Serialize)]
pub(crate) struct ReadinessStatus {
    /// Always `ok`: otherwise the response is a problem.
    status: String,
    /// The time of the first change that `GET /v1/changes` does not show yet, because an earlier transaction still runs on
    /// the database server; null if there is none. Its age is how far the feed of changes lags behind.
    #[oai(nullable)]
    changes_held_back_since: Option<DateTime<Utc>>,
}

/// The current state of the database connection pool.
#[derive(Debug, Object, Serialize)]
pub(crate) struct Pool {
    /// `postgresql` or `sqlite`.
    backend: String,
    /// The minimum number of open connections.
    min: u32,
    /// The maximum number of open connections.
    max: u32,
    /// Open connections.
    open: u32,
    /// Open connections that are not in use.
    idle: u32,
    /// Open connections that serve a request.
    in_use: u32,
    /// Requests that gave up waiting for a connection since the service started.
    timed_out: u64,
    /// Statements sent to the database since the service started.
    statements: u64,
}

/// The current state of the cache of rosters and of the handles of releases.
#[derive(Debug, Object, Serialize)]
pub(crate) struct RosterCacheStatus {
    /// Cached rosters and handles.
    rosters: u64,
    /// The memory that they occupy, in bytes.
    bytes: u64,
    /// Rosters and handles served from the cache since the service started.
    hits: u64,
    /// Rosters and handles read from the database since the service started.
    misses: u64,
}

pub(crate) struct HealthApi;

#[expect(clippy::unused_async, reason = "poem-openapi takes async methods only")]
#[OpenApi(tag = "Tag::Operations")]
impl HealthApi {
    /// Check that the process is alive
    ///
    /// Responds with 200 while the process can respond at all. It does not check the database, which a
    /// restart of the service would not repair.
    #[oai(path = "/livez", method = "get", operation_id = "get_liveness")]
    async fn get_liveness(&self) -> Result<Body<Health>, Error> {
        Body::new(&ok())
    }

    /// Check that the service is ready for requests
    ///
    /// Responds with 200 if the database can be reached, accepts writes, and its schema is the one this
    /// build knows. Otherwise it responds with 503, and `code` is the reason: `starting` (`detail` says
    /// what the service waits for), `database_unavailable` (`detail` says why), `database_read_only`,
    /// `schema_not_current`, or `draining` once the service has been told to stop. It asks by a connection of its own: that all others are in use is no reason.
    #[oai(path = "/readyz", method = "get", operation_id = "get_readiness")]
    async fn get_readiness(
        &self,
        Data(database): Data<&Database>,
        Shared(lifecycle): Shared<&Lifecycle>,
    ) -> Result<Body<ReadinessStatus>, Error> {
        if lifecycle.phase() >= Phase::Draining {
            return Err(Error::Draining);
        }
        lifecycle.check_started()?;
        database.check_readiness().await?;
        // A detail that can't be read is no reason to be unready.
        let since = match database.probe() {
            Some(probe) => changes::held_back_since(probe).await.unwrap_or_default(),
            None => None,
        };
        Body::new(&ReadinessStatus {
            status: "ok".to_owned(),
            changes_held_back_since: since,
        })
    }

    /// Get the connection pool's state
    ///
    /// Returns how many connections to the database are open, idle and in use, and the counts since the
    /// service started. It also works while the database is down, unless keys are in use.
    #[oai(path = "/v1/pool", method = "get", operation_id = "get_pool")]
    async fn get_pool(&self, Data(database): Data<&Database>) -> Result<Body<Pool>, Error> {
        let PoolStatistics {
            backend,
            min,
            max,
            open,
            idle,
            in_use,
            timed_out,
            statements,
        } = database.statistics();
        Body::new(&Pool {
            backend: backend.to_owned(),
            min,
            max,
            open,
            idle,
            in_use,
            timed_out,
            statements,
        })
    }

    /// Get the roster cache's state
    ///
    /// Returns how many rosters and handles of releases are cached, and how often one was served from the cache. A cached
    /// roster is revalidated against the circle's revision on every request, and handles against what the label points
    /// to, so they are never stale.
    #[oai(path = "/v1/cache", method = "get", operation_id = "get_cache")]
    async fn get_cache(
        &self,
        Shared(cache): Shared<&BodyCache>,
    ) -> Result<Body<RosterCacheStatus>, Error> {
        let CacheStatistics {
            bodies: rosters,
            bytes,
            hits,
            misses,
        } = cache.statistics();
        Body::new(&RosterCacheStatus {
            rosters,
            bytes,
            hits,
            misses,
        })
    }

    /// Get metrics for Prometheus
    ///
    /// In Prometheus' text format, named by OpenTelemetry's semantic conventions. Counts begin when the service starts.
    /// `docs/operations.md` lists the metrics. Also served at `--metrics-bind`, without keys.
    #[oai(path = "/metrics", method = "get", operation_id = "get_metrics")]
    async fn get_metrics(
        &self,
        Shared(metrics): Shared<&Metrics>,
    ) -> Result<PlainText<String>, Error> {
        metrics.to_text().await
    }
}

fn ok() -> Health {
    Health {
        status: "ok".to_owned(),
    }
}
