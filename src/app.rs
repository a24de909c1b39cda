//! The application: it owns the pool, the listener and the server from start to shutdown.
//!
//! It listens before the database is available. A background task, `startup`, prepares the database
//! and retries until it can; until then requests get 503.

use std::{future::pending, io, net::SocketAddr, time::Duration};

use migration::{connection::TargetError, runner::MigrateError};
use sea_orm::DbErr;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    changes::Events,
    config::{ServerSettings, Settings, WebhookSettings},
    database::{Database, ReplicaError, Replicas, errors},
    error::Error,
    exposure::{self, Exposed, Keys},
    http::BodyCache,
    keys::Keyring,
    lifecycle::{Lifecycle, Phase},
    members,
    metrics::{self, Metrics},
    routes::{self, Services},
    server::{Server, Tls, TlsError, listen},
    systemd,
    traces::{TraceError, Traces},
    webhooks::Webhooks,
};

/// The pause between attempts to prepare a database that is down.
const STARTUP_RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// A service that is ready to run. There are no globals: each has its own pool.
#[derive(Debug)]
pub struct Application {
    settings: ServerSettings,
    webhook_settings: WebhookSettings,
    database: Database,
    replicas: Option<Replicas>,
    traces: Traces,
    lifecycle: Lifecycle,
    tls: Option<Tls>,
    listener: TcpListener,
    metrics_listener: Option<TcpListener>,
    startup: AbortOnDropHandle<StartError>,
    _systemd: AbortOnDropHandle<()>,
}

/// Why the service can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Replicas(#[from] ReplicaError),
    #[error(
        "the database {database} can't be used: {cause}{}",
        errors::advice(cause)
    )]
    Database { database: String, cause: DbErr },
    #[error(transparent)]
    Schema(MigrateError),
    #[error(transparent)]
    Exposed(#[from] Exposed),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Traces(#[from] TraceError),
    #[error("can't listen on {address}: {cause}")]
    Listen {
        address: SocketAddr,
        cause: io::Error,
    },
}

impl Application {
    /// Reads the certificate, opens the pool, binds the address and tries to prepare the database. If
    /// the database is down or slow, preparing it continues in the background.
    ///
    /// # Errors
    /// Settings that can't work, a database that refuses access, a schema newer than this program's,
    /// or an address in use.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let Settings {
            server: settings,
            database,
            replicas,
            log: _,
            retention: _,
            webhooks: webhook_settings,
            traces,
        } = settings;
        let tls = Tls::load(&settings)?;
        let traces = Traces::start(&traces)?;
        let database = Database::open(&database)?;
        let replicas = Replicas::open(&replicas, &database)?;
        let address = settings.address();
        if let Some(port) = settings.port.filter(|port| *port != address.port()) {
            tracing::warn!(
                port,
                "PORT (--port) is not used, because BIND (--bind) names a port"
            );
        }
        let listen =
            |address| listen(address).map_err(|cause| StartError::Listen { address, cause });
        let listener = listen(address)?;
        let metrics_listener = settings.metrics_address().map(listen).transpose()?;
        let lifecycle = Lifecycle::default();
        let systemd = tokio::spawn(systemd::report(lifecycle.clone()));
        let mut startup = AbortOnDropHandle::new(tokio::spawn(startup(
            database.clone(),
            lifecycle.clone(),
            settings.clone(),
        )));
        tokio::select! {
            error = failed(&mut startup) => return Err(error),
            () = lifecycle.first_attempt() => {}
            () = tokio::time::sleep(database.acquire_timeout()) => {
                tracing::warn!("the database is still being prepared; serving 503 until it is ready");
            }
        }
        Ok(Self {
            settings,
            webhook_settings,
            database,
            replicas,
            traces,
            lifecycle,
            tls,
            listener,
            metrics_listener,
            startup,
            _systemd: AbortOnDropHandle::new(systemd),
        })
    }

    /// The address it listens on. If the settings say port 0, the system has chosen the port.
    ///
    /// # Errors
    /// A socket that does not know its address.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The pool; clones share it.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Serves until `stop` resolves, then drains: readiness turns off, requests in flight finish within
    /// the shutdown timeout, and the pool closes.
    ///
    /// # Errors
    /// A database that became available but can't be used.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), StartError> {
        let Self {
            settings,
            webhook_settings,
            database,
            replicas,
            traces,
            lifecycle,
            tls,
            listener,
            metrics_listener,
            mut startup,
            _systemd,
        } = self;
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, "listening");
        }
        let bodies = BodyCache::new(settings.roster_cache_mib);
        let metrics = Metrics::new(database.clone(), replicas.clone(), bodies, traces.clone());
        let _metrics = metrics_listener.map(|listener| {
            let server = Server::new(metrics::endpoint(metrics.clone()), None, &settings);
            let serve = server.run(listener, pending(), Duration::ZERO);
            AbortOnDropHandle::new(tokio::spawn(serve))
        });
        let services = services(
            &settings,
            &webhook_settings,
            &database,
            &lifecycle,
            &metrics,
        );
        let delivery = services.webhooks.deliver(
            database.clone(),
            services.events.clone(),
            lifecycle.clone(),
            &webhook_settings,
            settings.shutdown_delay + settings.shutdown_timeout,
        );
        let endpoint = routes::endpoint(
            &settings,
            database.clone(),
            lifecycle.clone(),
            metrics,
            services,
        );
        let mut result = Ok(());
        let stopped = async {
            tokio::select! {
                () = stop => {}
                error = failed(&mut startup) => {
                    tracing::error!(cause = %error, "the database is available, but can't be used");
                    result = Err(error);
                }
            }
            startup.abort();
            lifecycle.set_draining();
            tracing::info!("stopping: no longer ready");
            tokio::time::sleep(settings.shutdown_delay).await;
            lifecycle.set_closing();
        };
        Server::new(endpoint, tls, &settings)
            .run(listener, stopped, settings.shutdown_timeout)
            .await;
        delivery.ended().await;
        let close_replicas = async {
            if let Some(replicas) = replicas {
                replicas.close(settings.pool_close_timeout).await;
            }
        };
        tokio::join!(
            database.close(settings.pool_close_timeout),
            close_replicas,
            traces.close()
        );
        result
    }
}

fn services(
    settings: &ServerSettings,
    webhook_settings: &WebhookSettings,
    database: &Database,
    lifecycle: &Lifecycle,
    metrics: &Metrics,
) -> Services {
    let keyring = Keyring::new(settings.key_check_interval);
    let events = Events::start(
        database.clone(),
        keyring.clone(),
        lifecycle.clone(),
        settings.max_event_streams,
        metrics.event_streams.clone(),
    );
    let webhooks = Webhooks::new(
        webhook_settings,
        settings.request_timeout,
        metrics.webhooks.clone(),
        metrics.traces.clone(),
    );
    Services {
        keyring,
        events,
        webhooks,
    }
}

/// Prepares the database, retrying while the reason it can't may pass. The task ends only if the
/// database can't be used; after success it does what no request waits for.
async fn startup(database: Database, lifecycle: Lifecycle, settings: ServerSettings) -> StartError {
    while let Err(error) = prepare(&database, &settings).await {
        match transient_reason(&error) {
            Some(reason) => log_wait(&lifecycle, reason, &error),
            None => return error,
        }
        tokio::time::sleep(STARTUP_RETRY_INTERVAL).await;
    }
    if lifecycle.phase() != Phase::Starting {
        tracing::info!("the database is available; ready");
    }
    lifecycle.set_ready();
    match members::jobs::run(&database, settings.membership_job_interval).await {}
}

/// Waits for the startup task to fail.
async fn failed(startup: &mut AbortOnDropHandle<StartError>) -> StartError {
    startup.await.expect("the startup task does not panic")
}

/// Brings the schema up to date, and checks that keys protect what they have to.
async fn prepare(database: &Database, settings: &ServerSettings) -> Result<(), StartError> {
    let start_error = |cause| match cause {
        MigrateError::Database(cause) => StartError::Database {
            database: database.target().database().to_owned(),
            cause,
        },
        schema => StartError::Schema(schema),
    };
    database
        .prepare(!settings.no_migrate)
        .await
        .map_err(start_error)?;
    let keys = Keys::find(database, settings)
        .await
        .map_err(|cause| start_error(cause.into()))?;
    Ok(exposure::check(settings, keys)?)
}

/// Logs each reason once, not at every attempt.
fn log_wait(lifecycle: &Lifecycle, reason: &'static str, error: &StartError) {
    if lifecycle.phase() != Phase::Waiting(reason) {
        tracing::warn!(cause = %error, "waiting for the database; serving 503 until it is available");
    }
    lifecycle.set_waiting(reason);
}

/// What the service waits for, if the error may pass by itself: the database is down, but neither
/// refuses access nor has the wrong schema.
fn transient_reason(error: &StartError) -> Option<&'static str> {
    const NO_CONNECTION: &str = "The database has no connection free.";
    const BUSY: &str = "The database answers, but it is too busy or still starting.";
    const POOLER: &str = "A connection pooler refuses the session; the log has its reason.";
    let cause = match error {
        StartError::Database { cause, .. } if !errors::is_refused(cause) => cause,
        StartError::Schema(MigrateError::Locked) => {
            return Some("Another process has been migrating the database for ten minutes.");
        }
        _ => return None,
    };
    match Error::from(cause.clone()) {
        Error::PoolExhausted(_) => Some(NO_CONNECTION),
        Error::Unavailable(cause) if errors::is_out_of_connections(&cause) => Some(NO_CONNECTION),
        Error::Contended(_) | Error::Locked(_) | Error::TooSlow(_) => Some(BUSY),
        Error::Unavailable(cause) if errors::is_from_pooler(&cause) => Some(POOLER),
        Error::Unavailable(cause) if errors::is_reported(&cause) => Some(BUSY),
        Error::Unavailable(_) => Some("The database can't be reached yet."),
        Error::ReadOnly(cause) if errors::is_read_only(&cause) => {
            Some("The database accepts no writes yet, and its schema must be migrated.")
        }
        _ => None,
    }
}
