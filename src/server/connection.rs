//! One connection, from its handshake to its end: hyper's, over poem's endpoint.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

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
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

use super::{
    body,
    patience::{Patience, Patient, Turns},
    tls::Tls,
};
use crate::config::ServerSettings;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Connections<E> {
    endpoint: E,
    protocol: auto::Builder<TokioExecutor>,
    pub(super) tls: Option<Tls>,
    patience: Patience,
    body_timeout: Duration,
    /// No more requests after the ones under way.
    pub(super) closing: CancellationToken,
    /// Time is up.
    pub(super) cut: CancellationToken,
}

/// Between whom a connection is, and how.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    local: LocalAddr,
    remote: RemoteAddr,
    scheme: Scheme,
}

impl Ends {
    /// `None` where the connection is gone.
    pub(super) fn of(stream: &TcpStream, remote: SocketAddr) -> Option<Self> {
        Some(Self {
            local: LocalAddr(Addr::SocketAddr(stream.local_addr().ok()?)),
            remote: RemoteAddr(Addr::SocketAddr(remote)),
            scheme: Scheme::HTTP,
        })
    }
}

impl<E: Endpoint<Output = Response> + 'static> Connections<E> {
    pub(super) fn new(endpoint: E, tls: Option<Tls>, settings: &ServerSettings) -> Self {
        Self {
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
        }
    }

    /// Serves one connection, by TLS where there is a certificate. Until the service closes: what
    /// has not got through its handshake by then has no request under way.
    pub(super) async fn open(self: Arc<Self>, stream: TcpStream, ends: Ends) {
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
