//! Probes and figures for operators.

use migration::runner::MigrateError;
use poem::web::Data;
use poem_openapi::{Object, OpenApi};
use serde::Serialize;

use crate::{
    circles::{CacheStatistics, RosterCache},
    database::{Database, PoolStatistics},
    error::Error,
    http::{Body, Tag},
    lifecycle::{Lifecycle, Phase},
};

/// Whether the service is alive or ready.
#[derive(Debug, Object, Serialize)]
pub(crate) struct Health {
    /// Always `ok`; anything else is a problem.
    status: String,
}

/// The pool of database connections, at this moment.
#[derive(Debug, Object, Serialize)]
pub(crate) struct Pool {
    /// `postgresql` or `sqlite`.
    backend: String,
    /// Connections that are kept open.
    min: u32,
    /// Connections at most.
    max: u32,
    /// Connections open now.
    open: u32,
    /// Connections open and free.
    idle: u32,
    /// Connections that are serving a request.
    in_use: u32,
    /// Requests that gave up waiting for a connection, since the service started.
    timed_out: u64,
    /// Statements sent to the database, since the service started.
    statements: u64,
}

/// The cache of rosters, at this moment.
#[derive(Debug, Object, Serialize)]
pub(crate) struct RosterCacheFigures {
    /// Rosters that are kept.
    rosters: u64,
    /// Bytes that they take.
    bytes: u64,
    /// Rosters answered from the cache, since the service started.
    hits: u64,
    /// Rosters read from the database, since the service started.
    misses: u64,
}

pub(crate) struct HealthApi;

#[expect(clippy::unused_async, reason = "poem-openapi takes async methods only")]
#[OpenApi(tag = "Tag::Operations")]
impl HealthApi {
    /// Is the process alive?
    ///
    /// Answers 200 as long as the service answers at all. It does not look at the database: a
    /// restart of the service would not bring that back.
    #[oai(path = "/livez", method = "get", operation_id = "get_liveness")]
    async fn get_liveness(&self) -> Result<Body<Health>, Error> {
        Ok(Body(ok()))
    }

    /// Should the service get requests?
    ///
    /// Answers 200 when the database can be reached and its schema is the one this release knows,
    /// else 503 with the reason as `code`: `starting` (`detail` says what it waits for),
    /// `database_unavailable`, `pool_exhausted`, `schema_not_current`, or `draining` from the moment
    /// the service is told to stop.
    #[oai(path = "/readyz", method = "get", operation_id = "get_readiness")]
    async fn get_readiness(
        &self,
        Data(database): Data<&Database>,
        Data(lifecycle): Data<&Lifecycle>,
    ) -> Result<Body<Health>, Error> {
        if lifecycle.phase() == Phase::Draining {
            return Err(Error::Draining);
        }
        lifecycle.check_started()?;
        database.check().await.map_err(unready)?;
        Ok(Body(ok()))
    }

    /// The connection pool
    ///
    /// How many connections to the database are open, free and in use, and what was counted since
    /// the service started. Answers while the database is down, too.
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
        Ok(Body(Pool {
            backend: backend.to_owned(),
            min,
            max,
            open,
            idle,
            in_use,
            timed_out,
            statements,
        }))
    }

    /// The cache of rosters
    ///
    /// How many rosters are kept and how often one could be sent again. A kept roster is sent only
    /// after a look at the circle's revision, so that no answer is older than the question.
    #[oai(path = "/v1/cache", method = "get", operation_id = "get_cache")]
    async fn get_cache(
        &self,
        Data(cache): Data<&RosterCache>,
    ) -> Result<Body<RosterCacheFigures>, Error> {
        let CacheStatistics {
            rosters,
            bytes,
            hits,
            misses,
        } = cache.statistics();
        Ok(Body(RosterCacheFigures {
            rosters,
            bytes,
            hits,
            misses,
        }))
    }
}

fn ok() -> Health {
    Health {
        status: "ok".to_owned(),
    }
}

fn unready(cause: MigrateError) -> Error {
    match cause {
        MigrateError::Database(cause) => cause.into(),
        MigrateError::Newer(_) | MigrateError::Pending(_) | MigrateError::Locked => {
            Error::SchemaNotCurrent
        }
    }
}
