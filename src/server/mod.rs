//! The server: it accepts connections, limits their number and their time, and drains them at the end.
//!
//! poem's own accept loop waits without limit for clients that stall, and spins when the process runs
//! out of file descriptors. So this one runs hyper's connections over poem's endpoint, with a limit on
//! everything that a client can make the service wait for.
//!
//! It imports `config` and no other part of the service. Start with [`Server::run`].

mod body;
mod certificate;
mod connection;
mod descriptors;
mod listener;
mod per_address;
mod request_future;
mod timeouts;
mod tls;
mod unread;

use std::{fmt, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use poem::{Endpoint, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::Instant,
};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::config::ServerSettings;
use connection::{ConnectionHandler, PeerInfo};
use descriptors::within_descriptors;
pub(crate) use listener::{bind, get, listen};
use per_address::ConnectionsPerAddress;
pub(crate) use tls::{Tls, TlsError};

/// The pause after an accept failed. Usually the process is out of file descriptors then, and only
/// the end of another connection helps.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct Server<E> {
    handler: Arc<ConnectionHandler<E>>,
    permits: Arc<Semaphore>,
    per_address: ConnectionsPerAddress,
    tasks: TaskTracker,
    warning: ThrottledWarning,
    address_warning: ThrottledWarning,
}

impl<E: Endpoint<Output = Response> + 'static> Server<E> {
    pub(crate) fn new(endpoint: E, tls: Option<Tls>, settings: &ServerSettings) -> Self {
        let limit = within_descriptors(settings.max_connections);
        Self {
            handler: Arc::new(ConnectionHandler::new(endpoint, tls, settings)),
            permits: Arc::new(Semaphore::new(limit)),
            per_address: ConnectionsPerAddress::new(settings.max_connections_per_address),
            tasks: TaskTracker::new(),
            warning: ThrottledWarning::default(),
            address_warning: ThrottledWarning::default(),
        }
    }

    /// Accepts connections until `stop`. Then it closes the listener and idle connections, and lets
    /// requests under way finish within `shutdown_timeout`.
    pub(crate) async fn run(
        mut self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
        shutdown_timeout: Duration,
    ) {
        let tls = self.handler.tls.clone();
        let _reload = tls.map(|tls| AbortOnDropHandle::new(tokio::spawn(tls.reload_changes())));
        let mut stop = pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, remote)) => self.admit(stream, remote),
                Err(cause) if is_connection_error(&cause) => {}
                Err(cause) => {
                    self.warning.log("a connection can't be accepted", &cause);
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
        drop(listener);
        self.drain(shutdown_timeout).await;
    }

    /// Serves a connection in a task of its own. Beyond a limit it is closed at once, so that the
    /// client can try another instance instead of waiting.
    fn admit(&mut self, stream: TcpStream, remote: SocketAddr) {
        let address = remote.ip();
        let Some(address_permit) = self.per_address.try_acquire(address) else {
            let cause = format_args!("{address} has as many connections as one address may have");
            self.address_warning.log("a connection was refused", &cause);
            return;
        };
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            let cause = "the limit on connections is reached";
            self.warning.log("a connection was refused", &cause);
            return;
        };
        let Some(peer) = PeerInfo::of(&stream, remote) else {
            return;
        };
        // Without it, a response of several packets waits for the client's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        let handler = Arc::clone(&self.handler);
        self.tasks.spawn(async move {
            handler.open(stream, peer).await;
            drop((permit, address_permit));
        });
    }

    async fn drain(self, timeout: Duration) {
        self.handler.closing.cancel();
        self.tasks.close();
        if tokio::time::timeout(timeout, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                connections = self.tasks.len(),
                "shutdown timeout reached: the remaining connections are cut off"
            );
            self.handler.aborted.cancel();
            self.tasks.wait().await;
        }
    }
}

/// Whether only this connection failed, before it was accepted.
fn is_connection_error(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// A warning that could repeat thousands of times a second, logged once a second.
#[derive(Debug, Default)]
struct ThrottledWarning {
    last_logged: Option<Instant>,
    suppressed: u64,
}

impl ThrottledWarning {
    const INTERVAL: Duration = Duration::from_secs(1);

    fn log(&mut self, message: &'static str, cause: &dyn fmt::Display) {
        if self
            .last_logged
            .is_some_and(|last| last.elapsed() < Self::INTERVAL)
        {
            self.suppressed += 1;
            return;
        }
        tracing::warn!(%cause, suppressed = self.suppressed, "{message}");
        self.last_logged = Some(Instant::now());
        self.suppressed = 0;
    }
}
