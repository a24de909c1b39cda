//! The listener, and requests to the service that listens: those of `circle-registry health` and of the
//! doctor, which run on the same machine with the same settings.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error as RustlsError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
};
use tokio_rustls::TlsConnector;

use crate::config::ServerSettings;

/// How many clients may wait in the listener's queue. A client beyond that believes it is connected
/// and finds out only when it sends something.
const LISTEN_BACKLOG: u32 = 4096;
/// Less than the shortest interval at which health is usually checked.
const LOCAL_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest response, in bytes. Probes respond with a few hundred.
const MAX_LOCAL_RESPONSE: u64 = 1 << 16;

/// Binds the address, which fails if another process listens on it.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    bind(address)?.listen(LISTEN_BACKLOG)
}

/// The response of the service that listens on the configured address.
#[derive(Debug)]
pub(crate) struct LocalResponse {
    pub(crate) status: u16,
    /// `Null` if it is not JSON.
    pub(crate) body: Value,
}

/// Sends a GET request to the service that listens on the configured address.
///
/// # Errors
/// No service listens there, or it does not respond in time.
pub(crate) async fn get(settings: &ServerSettings, path: &str) -> io::Result<LocalResponse> {
    let response = async {
        let stream = TcpStream::connect(reachable(settings.address())).await?;
        if settings.tls_cert.is_none() {
            return exchange(stream, path).await;
        }
        let name = ServerName::from(settings.address().ip());
        let stream = connector()?.connect(name, stream).await?;
        exchange(stream, path).await
    };
    tokio::time::timeout(LOCAL_TIMEOUT, response).await?
}

/// An address of this machine on which a listener on `address` accepts connections.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => return address,
        ip if ip.is_ipv4() => Ipv4Addr::LOCALHOST.into(),
        _ => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    path: &str,
) -> io::Result<LocalResponse> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut response = Vec::new();
    stream
        .take(MAX_LOCAL_RESPONSE)
        .read_to_end(&mut response)
        .await?;
    let response = String::from_utf8_lossy(&response);
    let unreadable = || io::Error::new(io::ErrorKind::InvalidData, "the response is not HTTP");
    let (head, body) = response.split_once("\r\n\r\n").ok_or_else(unreadable)?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Ok(LocalResponse {
        status: status.ok_or_else(unreadable)?,
        body: serde_json::from_str(body).unwrap_or_default(),
    })
}

fn connector() -> io::Result<TlsConnector> {
    let provider = Arc::new(ring::default_provider());
    let verifier = AnyCertificate(provider.signature_verification_algorithms);
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Accepts any certificate: it names the host that clients use, the connection stays on this machine, and
/// the request has no secret.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, RustlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
