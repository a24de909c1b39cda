//! The application: it owns the pool from start to shutdown.

use std::{fmt, io, net::SocketAddr, pin::Pin, time::Duration};

use migration::runner::MigrateError;
use sea_orm::DbErr;
use tokio::net::{TcpListener, TcpSocket};

use crate::{
    config::{ServerSettings, Settings},
    database::{Database, OpenError},
    error::{self, Error},
    exposure::{self, Exposed},
    lifecycle::{Lifecycle, Phase},
    routes,
    server::{Server, Tls, TlsError},
};

/// How long to wait between looks at a database that is down.
const RETRY: Duration = Duration::from_millis(100);

/// A service that is ready to run. There are no globals: each has its own pool.
#[derive(Debug)]
pub struct Application {
    settings: ServerSettings,
    database: Database,
    lifecycle: Lifecycle,
    tls: Option<Tls>,
    listener: TcpListener,
    refusal: Refusal,
}

/// Why the service can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Database(#[from] OpenError),
    #[error("the database {database} can't be used: {cause}")]
    Refused { database: String, cause: DbErr },
    #[error(transparent)]
    Schema(MigrateError),
    #[error(transparent)]
    Exposed(#[from] Exposed),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("can't listen on {address}: {cause}")]
    Listen {
        address: SocketAddr,
        cause: io::Error,
    },
}

impl Application {
    /// Reads the certificate, opens the pool, takes the address and looks at the database. Where
    /// that is down, or takes its time, the service says so and goes on: [`Application::run`] waits
    /// for it in the background.
    ///
    /// # Errors
    /// Settings that can't work, a database that refuses, a schema newer than this program, or an
    /// address in use.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let Settings {
            server: settings,
            database,
            log: _,
        } = settings;
        let tls = Tls::load(&settings)?;
        let database = Database::open(&database).await?;
        let address = settings.bind;
        let listener = listen(address).map_err(|cause| StartError::Listen { address, cause })?;
        let lifecycle = Lifecycle::default();
        let mut refusal = Refusal::of(&database, &lifecycle, &settings);
        tokio::select! {
            cause = &mut refusal.0 => return Err(cause),
            () = lifecycle.started() => {}
            () = tokio::time::sleep(database.acquire_timeout()) => {
                tracing::warn!("the database is still being prepared; serving 503 until it is");
            }
        }
        Ok(Self {
            settings,
            database,
            lifecycle,
            tls,
            listener,
            refusal,
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
            tls,
            listener,
            refusal,
        } = self;
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, "listening");
        }
        let endpoint = routes::endpoint(&settings, database.clone(), lifecycle.clone());
        let mut refused = None;
        let stopped = async {
            tokio::select! {
                () = stop => {}
                cause = refusal.0 => {
                    tracing::error!(%cause, "the database is there, but can't be used");
                    refused = Some(cause);
                }
            }
            lifecycle.drain();
            tracing::info!("stopping: no longer ready");
            tokio::time::sleep(settings.shutdown_delay).await;
        };
        Server::new(endpoint, tls, &settings)
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
    Refused(#[from] StartError),
}

/// Brings the database to where it can be served from, as soon as it is there. It is polled from
/// the start on, and comes to an end only where the database refuses for good.
struct Refusal(Pin<Box<dyn Future<Output = StartError> + Send>>);

impl Refusal {
    fn of(database: &Database, lifecycle: &Lifecycle, settings: &ServerSettings) -> Self {
        Self(Box::pin(prepare(
            database.clone(),
            lifecycle.clone(),
            settings.clone(),
        )))
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refusal")
    }
}

/// Clients that come all at once wait in the queue until they are accepted. One for which there is
/// no room believes that it is connected, and is heard of only when it says something.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    const QUEUE: u32 = 4096;
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

async fn prepare(database: Database, lifecycle: Lifecycle, settings: ServerSettings) -> StartError {
    loop {
        match try_to_prepare(&database, &settings).await {
            Ok(Ok(())) => break,
            Ok(Err(exposed)) => return exposed.into(),
            Err(cause) => match passing(&cause) {
                Some(reason) => report(&lifecycle, reason, &cause),
                None => return refused(&database, cause),
            },
        }
        tokio::time::sleep(RETRY).await;
    }
    if lifecycle.phase() != Phase::Starting {
        tracing::info!("the database is there; ready");
    }
    lifecycle.ready();
    std::future::pending().await
}

/// Brings the schema up to date, and sees to it that others are asked for a key.
async fn try_to_prepare(
    database: &Database,
    settings: &ServerSettings,
) -> Result<Result<(), Exposed>, MigrateError> {
    database.prepare(!settings.no_migrate).await?;
    Ok(exposure::check(settings, database).await?)
}

/// Each reason is logged when it comes up, not at every look.
fn report(lifecycle: &Lifecycle, reason: &'static str, cause: &MigrateError) {
    if lifecycle.phase() != Phase::Waiting(reason) {
        tracing::warn!(%cause, "the database is not there yet; serving 503 until it is");
    }
    lifecycle.wait(reason);
}

fn refused(database: &Database, cause: MigrateError) -> StartError {
    match cause {
        MigrateError::Database(cause) => StartError::Refused {
            database: database.target().database().to_owned(),
            cause,
        },
        schema => StartError::Schema(schema),
    }
}

/// What the service waits for, where a failure may pass by itself: the database is down, not
/// wrong.
fn passing(cause: &MigrateError) -> Option<&'static str> {
    const BUSY: &str = "The database is there, but too busy or not ready itself.";
    match cause {
        MigrateError::Database(cause) if error::is_refused(cause) => None,
        MigrateError::Database(cause) => match Error::from(cause.clone()) {
            Error::PoolExhausted(_) => Some("The database has no connection free yet."),
            Error::Contended(_) => Some(BUSY),
            Error::Unavailable(cause) if error::is_reported(&cause) => Some(BUSY),
            Error::Unavailable(_) => Some("The database can't be reached yet."),
            _ => None,
        },
        MigrateError::Locked => Some("Another process has been migrating the database for long."),
        MigrateError::Newer(_) | MigrateError::Pending(_) => None,
    }
}
