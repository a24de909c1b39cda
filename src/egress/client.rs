//! The client: it connects to addresses that were checked, and to no others.

use std::{
    error::Error as StdError,
    io,
    iter::successors,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request,
    body::Incoming,
    header::{self, HeaderValue},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        self,
        connect::{HttpConnector, dns::Name},
    },
    rt::{TokioExecutor, TokioTimer},
};
use ipnet::IpNet;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::time::{Instant, timeout_at};
use tower_service::Service;
use url::{Host, Url};

use super::addresses;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection is kept for the next request: less than common servers keep theirs. Then the name is resolved again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// What is read of the body of a response.
const MAX_EXCERPT: usize = 2 << 10;
const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("circle-registry/", env!("CARGO_PKG_VERSION")));

type Connector = HttpsConnector<HttpConnector<CheckedResolver>>;
type ConnectionPool = legacy::Client<Connector, Full<Bytes>>;

/// Where requests may go.
#[derive(Clone, Debug, Default)]
pub(crate) struct EgressPolicy {
    /// Whether they may go without TLS.
    pub(crate) allow_http: bool,
    /// Networks that they may go to though these are not public.
    pub(crate) allowed: Vec<IpNet>,
}

impl EgressPolicy {
    fn allows(&self, address: IpAddr) -> bool {
        addresses::is_public(address) || addresses::is_in(&self.allowed, address)
    }

    /// Checks what a URL says itself. Names are only resolved when a request is sent.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check(&self, url: &Url) -> Result<(), RequestFailure> {
        let is_allowed = match url.scheme() {
            "https" => true,
            "http" => self.allow_http,
            _ => false,
        };
        if !is_allowed {
            return Err(RequestFailure::NotEncrypted);
        }
        let address: IpAddr = match url.host() {
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
            _ => return Ok(()),
        };
        if self.allows(address) {
            return Ok(());
        }
        Err(RequestFailure::AddressRefused)
    }

    /// All addresses of a name, if all are allowed. One that is not is a sign of an attack, or of a name that leads to
    /// different places in different networks.
    fn checked(&self, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, RequestFailure> {
        if found.is_empty() {
            return Err(RequestFailure::Unresolved);
        }
        if found.iter().all(|found| self.allows(found.ip())) {
            return Ok(found);
        }
        Err(RequestFailure::AddressRefused)
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// What `Retry-After` says, if it is in seconds.
    pub(crate) retry_after: Option<Duration>,
    /// The start of the body as text.
    pub(crate) excerpt: String,
}

/// Why nothing came back. It never says more than its kind: what is behind an address is not for everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestFailure {
    #[error("needs https")]
    NotEncrypted,
    #[error("leads to an address that is not public")]
    AddressRefused,
    #[error("the host name has no address")]
    Unresolved,
    #[error("no connection, or no TLS on it")]
    Unreachable,
    #[error("the connection broke before a response came")]
    Broken,
    #[error("no response in time")]
    TimedOut,
    #[error("this machine has no certificates of authorities")]
    NoAuthorities,
}

/// Sends requests. Clones share its connections.
#[derive(Clone, Debug)]
pub(crate) struct Client(Arc<ClientInner>);

#[derive(Debug)]
struct ClientInner {
    policy: Arc<EgressPolicy>,
    /// Made for the first request: it reads the certificates of authorities.
    connections: OnceLock<ConnectionPool>,
}

impl Client {
    pub(crate) fn new(policy: EgressPolicy) -> Self {
        Self(Arc::new(ClientInner {
            policy: Arc::new(policy),
            connections: OnceLock::new(),
        }))
    }

    pub(crate) fn policy(&self) -> &EgressPolicy {
        &self.0.policy
    }

    /// Sends a body. A redirect is not followed: its status comes back.
    ///
    /// # Errors
    /// An address that is refused, or no response within `limit`.
    pub(crate) async fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        limit: Duration,
    ) -> Result<Reply, RequestFailure> {
        self.policy().check(url)?;
        let mut request = Request::post(url.as_str())
            .body(Full::new(body))
            .map_err(|_| RequestFailure::Unresolved)?;
        *request.headers_mut() = headers;
        request.headers_mut().insert(header::USER_AGENT, USER_AGENT);
        let deadline = Instant::now() + limit;
        let response = timeout_at(deadline, self.connections()?.request(request)).await;
        let response = response.map_err(|_| RequestFailure::TimedOut)?;
        let (head, mut rest) = response.map_err(|error| failure_of(&error))?.into_parts();
        let mut excerpt = Vec::new();
        // The status says it all: what is missing of the body does not matter.
        let _ = timeout_at(deadline, read_start(&mut rest, &mut excerpt)).await;
        Ok(Reply {
            status: head.status.as_u16(),
            retry_after: retry_after(&head.headers),
            excerpt: String::from_utf8_lossy(&excerpt).into_owned(),
        })
    }

    fn connections(&self) -> Result<&ConnectionPool, RequestFailure> {
        if let Some(connections) = self.0.connections.get() {
            return Ok(connections);
        }
        let connections = open(Arc::clone(&self.0.policy)).map_err(|cause| {
            tracing::error!(%cause, "no certificates of authorities can be read, so no request is sent");
            RequestFailure::NoAuthorities
        })?;
        Ok(self.0.connections.get_or_init(|| connections))
    }
}

fn open(policy: Arc<EgressPolicy>) -> io::Result<ConnectionPool> {
    let mut http = HttpConnector::new_with_resolver(CheckedResolver(policy));
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    // The policy has checked the scheme.
    let https = https_or_http(http)?;
    Ok(legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .build(https))
}

/// Connects by TLS where the scheme is https, with the authorities that the system trusts.
///
/// # Errors
/// A system without any.
pub(crate) fn https_or_http<R>(
    mut http: HttpConnector<R>,
) -> io::Result<HttpsConnector<HttpConnector<R>>> {
    // It would refuse https itself.
    http.enforce_http(false);
    Ok(HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(ring::default_provider())?
        .https_or_http()
        .enable_http1()
        .wrap_connector(http))
}

/// Connects without TLS, by the same type. So a system without authorities will do.
///
/// # Errors
/// A library without the usual versions of TLS.
pub(crate) fn http_only<R>(http: HttpConnector<R>) -> io::Result<HttpsConnector<HttpConnector<R>>> {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Ok(HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(http))
}

/// Resolves names, once for each connection. What it returns is what is connected to, so no second answer of a name
/// server can lead elsewhere.
#[derive(Clone, Debug)]
struct CheckedResolver(Arc<EgressPolicy>);

type Resolved = Result<std::vec::IntoIter<SocketAddr>, RequestFailure>;

impl Service<Name> for CheckedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = RequestFailure;
    type Future = Pin<Box<dyn Future<Output = Resolved> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), RequestFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let policy = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found = found.map_err(|_| RequestFailure::Unresolved)?;
            Ok(policy.checked(found.collect())?.into_iter())
        })
    }
}

async fn read_start(body: &mut Incoming, excerpt: &mut Vec<u8>) {
    while excerpt.len() < MAX_EXCERPT {
        let Some(Ok(frame)) = body.frame().await else {
            return;
        };
        let part = frame.into_data().unwrap_or_default();
        let room = MAX_EXCERPT - excerpt.len();
        excerpt.extend_from_slice(&part[..part.len().min(room)]);
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}

/// An error of a client with its causes, which it does not print itself.
pub(crate) fn with_causes(error: &(dyn StdError + 'static)) -> String {
    let texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    texts.join(": ")
}

/// An error, what caused it, and so on.
fn causes<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    successors(Some(error), |&error| error.source())
}

fn failure_of(error: &legacy::Error) -> RequestFailure {
    if let Some(own) = causes(error).find_map(|error| error.downcast_ref()) {
        return *own;
    }
    if error.is_connect() {
        RequestFailure::Unreachable
    } else {
        RequestFailure::Broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().expect(text)
    }

    #[test]
    fn an_address_in_any_notation_is_refused_before_a_request_is_sent() {
        let policy = EgressPolicy::default();
        for text in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0x7f000001/",
            "https://017700000001/",
            "https://0177.0.0.1/",
            "https://127.0.0.1./",
            "https://%31%32%37.0.0.1/",
            "https://①②⑦.0.0.1/",
            "https://0/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:7f00:1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[fd00:ec2::254]/",
            "https://[fe80::1]/",
            "https://169.254.169.254/latest/meta-data/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://[2002:7f00:1::]/",
        ] {
            let refused = policy.check(&url(text));
            assert_eq!(refused, Err(RequestFailure::AddressRefused), "{text}");
        }
        for text in ["https://8.8.8.8/", "https://receiver.example:8443/x"] {
            assert_eq!(policy.check(&url(text)), Ok(()), "{text}");
        }
        let plain = policy.check(&url("http://receiver.example/"));
        assert_eq!(plain, Err(RequestFailure::NotEncrypted));
        let allowing = EgressPolicy {
            allow_http: true,
            allowed: vec!["127.0.0.0/8".parse().expect("a network")],
        };
        for (text, expected) in [
            ("http://127.0.0.1:8000/", Ok(())),
            ("http://[::ffff:127.0.0.1]/", Ok(())),
            ("http://10.0.0.1/", Err(RequestFailure::AddressRefused)),
            ("ftp://127.0.0.1/", Err(RequestFailure::NotEncrypted)),
        ] {
            assert_eq!(allowing.check(&url(text)), expected, "{text}");
        }
    }

    #[test]
    fn a_name_with_one_address_that_is_not_public_is_refused() {
        let policy = EgressPolicy::default();
        let found = |texts: &[&str]| -> Vec<SocketAddr> {
            let addresses = texts.iter().map(|text| text.parse().expect("an address"));
            addresses.collect()
        };
        let public = found(&["8.8.8.8:0", "[2606:4700:4700::1111]:0"]);
        assert_eq!(policy.checked(public.clone()), Ok(public));
        for mixed in [&["8.8.8.8:0", "10.0.0.1:0"], &["[::1]:0", "8.8.8.8:0"]] {
            let checked = policy.checked(found(mixed));
            assert_eq!(checked, Err(RequestFailure::AddressRefused), "{mixed:?}");
        }
        assert_eq!(policy.checked(vec![]), Err(RequestFailure::Unresolved));
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_not_connected_to() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("set");
        let port = listener.local_addr().expect("an address").port();
        let policy = EgressPolicy {
            allow_http: true,
            allowed: Vec::new(),
        };
        let target = url(&format!("http://localhost:{port}/"));
        let limit = Duration::from_secs(30);
        let client = Client::new(policy);
        let sent = client.post(&target, HeaderMap::new(), Bytes::new(), limit);
        assert_eq!(sent.await, Err(RequestFailure::AddressRefused));
        let connection = listener.accept().map(|_| ()).map_err(|error| error.kind());
        assert_eq!(connection, Err(io::ErrorKind::WouldBlock));
    }
}
