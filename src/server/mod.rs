//! Connections: accepting them, bounding them, and letting them go.
//!
//! The loop that poem brings along waits for ever for clients that stall, and spins where it runs
//! out of file descriptors. So the loop is ours, hyper's connections over poem's endpoint, with a
//! limit to everything that a client can make the service wait for.

mod body;
mod patience;
mod tls;

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use poem::{
    Addr, Endpoint, Request, Response,
    http::{self, uri::Scheme},
    web::{LocalAddr, RemoteAddr},
};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::Instant,
};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use crate::config::ServerSettings;
use patience::{Patience, Patient, Turns};
pub(crate) use tls::{Tls, TlsError};

/// File descriptors that are left for the database, the log and the listener.
const DESCRIPTORS_ASIDE: usize = 100;
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

/// What all connections share.
#[derive(Debug)]
struct Connections<E> {
    endpoint: E,
    protocol: auto::Builder<TokioExecutor>,
    tls: Option<Tls>,
    patience: Patience,
    body_timeout: Duration,
    /// No more requests after the ones under way.
    closing: CancellationToken,
    /// Time is up.
    cut: CancellationToken,
}

/// Between whom a connection is, and how.
#[derive(Clone, Debug)]
struct Ends {
    local: LocalAddr,
    remote: RemoteAddr,
    scheme: Scheme,
}

impl<E: Endpoint<Output = Response> + 'static> Server<E> {
    pub(crate) fn new(endpoint: E, tls: Option<Tls>, settings: &ServerSettings) -> Self {
        let limit = within_descriptors(settings.max_connections);
        Self {
            connections: Arc::new(Connections {
                endpoint,
                protocol: protocol(),
                tls,
                patience: Patience {
                    head: settings.header_timeout,
                    idle: settings.keep_alive_timeout,
                },
                body_timeout: settings.body_timeout,
                closing: CancellationToken::new(),
                cut: CancellationToken::new(),
            }),
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
        let Ok(local) = stream.local_addr() else {
            return;
        };
        let ends = Ends {
            local: LocalAddr(Addr::SocketAddr(local)),
            remote: RemoteAddr(Addr::SocketAddr(remote)),
            scheme: Scheme::HTTP,
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

impl<E: Endpoint<Output = Response> + 'static> Connections<E> {
    /// Serves one connection, by TLS where there is a certificate. Until the service closes: what
    /// has not got through its handshake by then has no request under way.
    async fn open(self: Arc<Self>, stream: TcpStream, ends: Ends) {
        let Some(tls) = &self.tls else {
            return self.serve(stream, ends).await;
        };
        let opened = tokio::select! {
            opened = tls.open(stream, self.patience.head) => opened,
            () = self.closing.cancelled() => return,
        };
        let ends = Ends {
            scheme: Scheme::HTTPS,
            ..ends
        };
        match opened {
            Ok(stream) => self.serve(stream, ends).await,
            Err(cause) => tracing::debug!(%cause, "a TLS handshake failed"),
        }
    }

    /// Serves one connection to its end, over whatever carries it.
    async fn serve<S>(self: Arc<Self>, stream: S, ends: Ends)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let turns = Arc::new(Turns::default());
        let stream = Patient::new(
            stream,
            self.patience,
            Arc::clone(&turns),
            self.closing.clone(),
        );
        let service = {
            let connections = Arc::clone(&self);
            service_fn(move |request: http::Request<Incoming>| {
                let turn = turns.begin(request.version());
                let connections = Arc::clone(&connections);
                let ends = ends.clone();
                async move {
                    let response = connections.answer(request, ends).await;
                    drop(turn);
                    Ok::<_, Infallible>(http::Response::from(response))
                }
            })
        };
        let mut connection = pin!(
            self.protocol
                .serve_connection(TokioIo::new(stream), service)
        );
        // How a connection ends is the client's business; requests have their own log lines.
        let conversation = async {
            tokio::select! {
                _ = connection.as_mut() => return,
                () = self.closing.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            let _ = connection.await;
        };
        tokio::select! {
            () = conversation => {}
            () = self.cut.cancelled() => {}
        }
    }

    async fn answer(&self, request: http::Request<Incoming>, ends: Ends) -> Response {
        let Ends {
            local,
            remote,
            scheme,
        } = ends;
        let mut request = Request::from((request, local, remote, scheme));
        let body = request.take_body();
        request.set_body(body::paced(body, self.body_timeout));
        self.endpoint.get_response(request).await
    }
}

/// HTTP/1.1 and HTTP/2, with limits to what a client can make the server keep in memory. How long
/// it can make it wait is [`Patient`]'s, for both.
fn protocol() -> auto::Builder<TokioExecutor> {
    let mut protocol = auto::Builder::new(TokioExecutor::new());
    // A client that says no more may still listen: its request is answered.
    protocol
        .http1()
        .half_close(true)
        .max_buf_size(64 << 10)
        .max_headers(64);
    protocol
        .http2()
        .max_concurrent_streams(100)
        .max_pending_accept_reset_streams(20)
        .max_header_list_size(16 << 10)
        .max_send_buf_size(64 << 10);
    protocol
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

/// Each connection is a file descriptor. The soft limit on those is often as low as 1,024, for
/// the sake of programs that use `select`; this one does not, and raises it as far as it may.
fn within_descriptors(wanted: usize) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = raised;
        }
    }
    let Some(descriptors) = limit.current else {
        return wanted;
    };
    let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
    let possible = descriptors.saturating_sub(DESCRIPTORS_ASIDE.min(descriptors / 2));
    if possible < wanted {
        tracing::warn!(
            max_connections = possible,
            descriptors,
            "fewer connections than set are possible: the limit on open files is too low"
        );
    }
    wanted.min(possible)
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
