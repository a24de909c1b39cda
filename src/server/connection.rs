//! One connection from its handshake to its end: hyper's connection over poem's endpoint.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{body::Incoming, service::service_fn};
use hyper_util::{rt::TokioIo, server::conn::auto};
use poem::{
    Addr, Endpoint, Request, Response,
    http::{self, HeaderMap, header::CONTENT_TYPE, uri::Scheme},
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

use super::{
    body,
    request_future::RequestFutures,
    timeouts::{ClientTimeouts, ConnectionRequests, TimedStream},
    tls::Tls,
    unread::{ResponseBody, StreamExecutor},
};
use crate::{config::ServerSettings, http::EVENT_STREAM};

/// What all connections share.
#[derive(Debug)]
pub(super) struct ConnectionHandler<E> {
    endpoint: E,
    protocol: auto::Builder<StreamExecutor>,
    pub(super) tls: Option<Tls>,
    timeouts: ClientTimeouts,
    body_timeout: Duration,
    /// Cancelled when connections must end after the requests under way.
    pub(super) closing: CancellationToken,
    /// Cancelled when connections must end at once.
    pub(super) aborted: CancellationToken,
}

/// The two addresses of a connection, and its scheme.
#[derive(Clone, Debug)]
pub(super) struct PeerInfo {
    local: LocalAddr,
    remote: RemoteAddr,
    scheme: Scheme,
}

impl PeerInfo {
    /// `None` if the connection is already closed.
    pub(super) fn of(stream: &TcpStream, remote: SocketAddr) -> Option<Self> {
        Some(Self {
            local: LocalAddr(Addr::SocketAddr(stream.local_addr().ok()?)),
            remote: RemoteAddr(Addr::SocketAddr(remote)),
            scheme: Scheme::HTTP,
        })
    }
}

impl<E: Endpoint<Output = Response> + 'static> ConnectionHandler<E> {
    pub(super) fn new(endpoint: E, tls: Option<Tls>, settings: &ServerSettings) -> Self {
        Self {
            endpoint,
            protocol: protocol(settings.response_read_timeout),
            tls,
            timeouts: ClientTimeouts {
                head: settings.header_timeout,
                idle: settings.keep_alive_timeout,
                response_read: settings.response_read_timeout,
            },
            body_timeout: settings.body_timeout,
            closing: CancellationToken::new(),
            aborted: CancellationToken::new(),
        }
    }

    /// Serves one connection, over TLS if there is a certificate. A handshake is cut off as soon as
    /// the service closes, because no request is under way yet.
    pub(super) async fn open(self: Arc<Self>, stream: TcpStream, peer: PeerInfo) {
        let Some(tls) = &self.tls else {
            return self.serve(stream, peer).await;
        };
        let accepted = tokio::select! {
            accepted = tls.accept(stream, self.timeouts.head) => accepted,
            () = self.closing.cancelled() => return,
        };
        let peer = PeerInfo {
            scheme: Scheme::HTTPS,
            ..peer
        };
        match accepted {
            Ok(stream) => self.serve(stream, peer).await,
            Err(cause) => tracing::debug!(%cause, "a TLS handshake failed"),
        }
    }

    /// Serves one connection to its end.
    async fn serve<S>(self: Arc<Self>, stream: S, peer: PeerInfo)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let requests = Arc::new(ConnectionRequests::default());
        let stream = TimedStream::new(
            stream,
            self.timeouts,
            Arc::clone(&requests),
            self.closing.clone(),
        );
        let service = {
            let (handler, futures) = (Arc::clone(&self), RequestFutures::new());
            service_fn(move |request: http::Request<Incoming>| {
                let version = request.version();
                let guard = requests.start(version);
                let handler = Arc::clone(&handler);
                let peer = peer.clone();
                futures.start(version, async move {
                    // In one future: each one around it would be another copy of all that is inside.
                    let response = handler.endpoint.call(handler.prepare(request, peer)).await;
                    let response = response.unwrap_or_else(poem::Error::into_response);
                    let mut response = http::Response::from(response);
                    let held = std::mem::take(response.extensions_mut());
                    let is_endless = is_event_stream(response.headers());
                    let body = |body| ResponseBody::new(body, guard, held, is_endless);
                    Ok::<_, Infallible>(response.map(body))
                })
            })
        };
        let mut connection = pin!(
            self.protocol
                .serve_connection(TokioIo::new(stream), service)
        );
        // The result is ignored: how a connection ends is up to the client, and requests have log
        // lines of their own.
        let until_closed = async {
            tokio::select! {
                _ = connection.as_mut() => return,
                () = self.closing.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            let _ = connection.await;
        };
        tokio::select! {
            () = until_closed => {}
            () = self.aborted.cancelled() => {}
        }
    }

    /// poem's request, whose body has to arrive in time.
    fn prepare(&self, request: http::Request<Incoming>, peer: PeerInfo) -> Request {
        let PeerInfo {
            local,
            remote,
            scheme,
        } = peer;
        let mut request = Request::from((request, local, remote, scheme));
        let body = request.take_body();
        request.set_body(body::with_deadline(body, self.body_timeout));
        request
    }
}

/// Whether a response has no end.
fn is_event_stream(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|media_type| media_type == EVENT_STREAM)
}

/// How many header fields of a request are read. Fewer are accepted, with an answer that says so; more get hyper's
/// own 431, without a body. For more than a hundred, hyper allocates 12 KB a hundred for each request.
const MAX_READ_HEADER_FIELDS: usize = 100;

/// HTTP/1.1 and HTTP/2, with limits on the memory that a client can occupy. [`TimedStream`] and
/// [`StreamExecutor`] limit its time.
fn protocol(read_timeout: Duration) -> auto::Builder<StreamExecutor> {
    let mut protocol = auto::Builder::new(StreamExecutor { read_timeout });
    // A client that has closed its sending side may still wait for a response.
    protocol
        .http1()
        .half_close(true)
        .max_buf_size(64 << 10)
        .max_headers(MAX_READ_HEADER_FIELDS);
    protocol
        .http2()
        .max_concurrent_streams(100)
        .max_pending_accept_reset_streams(20)
        .max_header_list_size(16 << 10)
        .max_send_buf_size(64 << 10);
    protocol
}
