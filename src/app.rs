//! The application: it owns the pool from start to shutdown.

use std::{io, net::SocketAddr, time::Duration};

use migration::runner::MigrateError;
use tokio::net::TcpListener;

use crate::{
    circles::RosterCache,
    config::{ServerSettings, Settings},
    database::{Database, OpenError},
    error::{self, Error},
    http,
    lifecycle::{Lifecycle, Phase},
    server::Server,
};

/// How long to wait between looks at a database that is down.
const RETRY: Duration = Duration::from_millis(200);

/// A service that is ready to run. There are no globals: each has its own pool.
#[derive(Debug)]
pub struct Application {
    settings: ServerSettings,
    database: Database,
    lifecycle: Lifecycle,
    listener: TcpListener,
}

/// Why the service can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Database(#[from] OpenError),
    #[error("{0}")]
    Schema(#[from] MigrateError),
    #[error("can't listen on {address}: {cause}")]
    Listen {
        address: SocketAddr,
        cause: io::Error,
    },
}

impl Application {
    /// Opens the pool, brings the schema up to date and takes the address. Where the database is
    /// down, it says so and goes on: [`Application::run`] waits for it in the background.
    ///
    /// # Errors
    /// Settings that can't work, a schema newer than this program, or an address in use.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let Settings {
            server: settings,
            database,
            log: _,
        } = settings;
        let database = Database::open(&database).await?;
        let lifecycle = Lifecycle::default();
        match database.prepare(!settings.no_migrate).await {
            Ok(()) => lifecycle.ready(),
            Err(cause) if passes(&cause) => {
                tracing::warn!(%cause, "the database is not there yet; serving 503 until it is");
            }
            Err(cause) => return Err(cause.into()),
        }
        let address = settings.bind;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|cause| StartError::Listen { address, cause })?;
        Ok(Self {
            settings,
            database,
            lifecycle,
            listener,
        })
    }

    /// The address it listens on; with port 0 in the settings, the one it was given.
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

    /// Serves until `stop`, then drains: readiness goes off, requests in flight finish within
    /// their time, the pool closes.
    ///
    /// # Errors
    /// A database that came up with a schema this program can't use.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        let Self {
            settings,
            database,
            lifecycle,
            listener,
        } = self;
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, "listening");
        }
        let rosters = RosterCache::new(settings.roster_cache);
        let endpoint = http::endpoint(database.clone(), lifecycle.clone(), rosters);
        let mut refused = None;
        let stopped = async {
            tokio::select! {
                () = stop => {}
                cause = wait_for_database(&database, &lifecycle, !settings.no_migrate) => {
                    refused = Some(cause);
                }
            }
            lifecycle.drain();
            tracing::info!("stopping: no longer ready");
            tokio::time::sleep(settings.shutdown_delay).await;
        };
        Server::new(endpoint, &settings)
            .run(listener, stopped, settings.shutdown_timeout)
            .await;
        database.close(settings.pool_close_timeout).await;
        refused.map_or(Ok(()), |cause| Err(cause.into()))
    }
}

/// Why the service stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Schema(#[from] MigrateError),
}

/// Brings the schema up to date once the database is there; returns only where that can't be.
async fn wait_for_database(
    database: &Database,
    lifecycle: &Lifecycle,
    migrate: bool,
) -> MigrateError {
    while lifecycle.phase() == Phase::Waiting {
        match database.prepare(migrate).await {
            Ok(()) => {
                lifecycle.ready();
                tracing::info!("the database is there; ready");
            }
            Err(cause) if passes(&cause) => tokio::time::sleep(RETRY).await,
            Err(cause) => return cause,
        }
    }
    std::future::pending().await
}

/// Whether a failure may pass by itself: the database is down, not wrong.
fn passes(cause: &MigrateError) -> bool {
    match cause {
        MigrateError::Database(cause) => {
            matches!(
                Error::from(cause.clone()),
                Error::PoolExhausted(_) | Error::Contended(_) | Error::Unavailable(_)
            ) && !error::is_refused(cause)
        }
        MigrateError::Locked => true,
        MigrateError::Newer(_) | MigrateError::Pending(_) => false,
    }
}
