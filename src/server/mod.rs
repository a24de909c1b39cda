//! Connections: accepting them, bounding them, and letting them go.
//!
//! The loop that poem brings along waits for ever for clients that stall, and spins where it runs
//! out of file descriptors. So the loop is ours, hyper's connections over poem's endpoint, with a
//! limit to everything that a client can make the service wait for.

mod body;
mod connection;
mod descriptors;
mod patience;
mod tls;

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use poem::{Endpoint, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::Instant,
};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::config::ServerSettings;
use connection::{Connections, Ends};
use descriptors::within_descriptors;
pub(crate) use tls::{Tls, TlsError};

/// How long to let be after a failure to accept: only the end of other connections will help.
const RESPITE: Duration = Duration::from_millis(50);

/// Serves an endpoint over the connections that clients make.
#[derive(Debug)]
pub(crate) struct Server<E> {
    connections: Arc<Connections<E>>,
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
    complaint: Complaint,
}

impl<E: Endpoint<Output = Response> + 'static> Server<E> {
    pub(crate) fn new(endpoint: E, tls: Option<Tls>, settings: &ServerSettings) -> Self {
        let limit = within_descriptors(settings.max_connections);
        Self {
            connections: Arc::new(Connections::new(endpoint, tls, settings)),
            slots: Arc::new(Semaphore::new(limit)),
            tasks: TaskTracker::new(),
            complaint: Complaint::default(),
        }
    }

    /// Accepts until `stop`, then closes the listener and what is idle, and lets requests under
    /// way finish within `limit`.
    pub(crate) async fn run(
        mut self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
        limit: Duration,
    ) {
        let tls = self.connections.tls.clone();
        let _following = tls.map(|tls| AbortOnDropHandle::new(tokio::spawn(tls.follow())));
        let mut stop = pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, remote)) => self.admit(stream, remote),
                Err(cause) if is_the_client_s(&cause) => {}
                Err(cause) => {
                    self.complaint
                        .make("a connection can't be accepted", &cause);
                    tokio::time::sleep(RESPITE).await;
                }
            }
        }
        drop(listener);
        self.drain(limit).await;
    }

    /// A connection beyond the limit is closed at once: its client can try elsewhere, which is
    /// better than to wait here for somebody else to leave.
    fn admit(&mut self, stream: TcpStream, remote: SocketAddr) {
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            self.complaint
                .make("a connection was refused", &"there are too many");
            return;
        };
        let Some(ends) = Ends::of(&stream, remote) else {
            return;
        };
        // Without it, an answer of several packets waits for the client's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        let connections = Arc::clone(&self.connections);
        self.tasks.spawn(async move {
            connections.open(stream, ends).await;
            drop(slot);
        });
    }

    async fn drain(self, limit: Duration) {
        self.connections.closing.cancel();
        self.tasks.close();
        if tokio::time::timeout(limit, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                connections = self.tasks.len(),
                "requests are cut off: their time to finish is up"
            );
            self.connections.cut.cancel();
            self.tasks.wait().await;
        }
    }
}

/// A connection that was gone before it was accepted.
fn is_the_client_s(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// Trouble that can come a thousand times a second, and is logged once a second.
#[derive(Debug, Default)]
struct Complaint {
    last: Option<Instant>,
    unsaid: u64,
}

impl Complaint {
    const EVERY: Duration = Duration::from_secs(1);

    fn make(&mut self, what: &'static str, cause: &dyn std::fmt::Display) {
        if self.last.is_some_and(|last| last.elapsed() < Self::EVERY) {
            self.unsaid += 1;
            return;
        }
        tracing::warn!(%cause, more = self.unsaid, "{what}");
        self.last = Some(Instant::now());
        self.unsaid = 0;
    }
}
