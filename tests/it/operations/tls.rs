//! TLS: the program with certificates that the tests make and replace.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use hyper::{
    Request, StatusCode,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use test_support::binary::{self, Server};

const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);
const DATABASE: &str = "sqlite::memory:";
/// The beginning of a TLS handshake.
const HALF_A_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00";

/// A certificate authority, and the files of a certificate and its key.
struct Certificates {
    authority: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Certificates {
    fn create() -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificates = Self {
            authority: CertifiedIssuer::self_signed(authority, key).expect("an authority"),
            folder: TempDir::new().expect("a folder"),
        };
        certificates.renew();
        certificates
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces the certificate and its key.
    fn renew(&self) -> CertificateDer<'static> {
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()])
            .and_then(|parameters| parameters.signed_by(&key, &self.authority))
            .expect("a certificate");
        fs::write(self.file("cert.pem"), certificate.pem()).expect("written");
        fs::write(self.file("key.pem"), key.serialize_pem()).expect("written");
        certificate.der().clone()
    }

    async fn serve(&self, more: &[&str]) -> Server {
        let [certificate, key] = ["cert.pem", "key.pem"].map(|name| self.file(name));
        let files = [
            "--tls-cert",
            certificate.to_str().expect("a path"),
            "--tls-key",
            key.to_str().expect("a path"),
        ];
        Server::start_by_tls(DATABASE, &[&files, more].concat()).await
    }

    /// A client that trusts only this authority, and speaks one protocol.
    fn client(&self, protocol: &str) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).expect("a root");
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Client(TlsConnector::from(Arc::new(config)))
    }
}

struct Client(TlsConnector);

impl Client {
    async fn connect(&self, address: SocketAddr) -> TlsStream<TcpStream> {
        let name = ServerName::from(IpAddr::from(Ipv4Addr::LOCALHOST));
        let stream = TcpStream::connect(address).await.expect("a connection");
        let connecting = timeout(CLIENT_TIMEOUT, self.0.connect(name, stream)).await;
        connecting.expect("in time").expect("a handshake")
    }

    async fn shown(&self, address: SocketAddr) -> CertificateDer<'static> {
        let stream = self.connect(address).await;
        let mut http1 = Http1::over(stream).await;
        assert_eq!(http1.ask().await, StatusCode::OK);
        http1.certificate
    }
}

/// An HTTP/1.1 connection that stays open, and the certificate of its handshake.
struct Http1 {
    sender: http1::SendRequest<String>,
    certificate: CertificateDer<'static>,
}

impl Http1 {
    async fn over(stream: TlsStream<TcpStream>) -> Self {
        let (_, session) = stream.get_ref();
        let certificate = session.peer_certificates().expect("a chain")[0].clone();
        let opening = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = opening.expect("HTTP/1.1");
        tokio::spawn(connection);
        Self {
            sender,
            certificate,
        }
    }

    async fn ask(&mut self) -> StatusCode {
        let request = Request::get("/livez").header("host", "127.0.0.1");
        let request = request.body(String::new()).expect("a request");
        let answer = timeout(CLIENT_TIMEOUT, self.sender.send_request(request)).await;
        let answer = answer.expect("in time").expect("an answer");
        let status = answer.status();
        // The next request must wait for the end of this response.
        drop(answer);
        timeout(CLIENT_TIMEOUT, self.sender.ready())
            .await
            .expect("in time")
            .expect("open");
        status
    }
}

/// All bytes that the server sends on a connection until it is closed.
async fn said_to(mut stream: TcpStream, opening: &[u8]) -> Vec<u8> {
    let _ = stream.write_all(opening).await;
    let mut said = Vec::new();
    // A reset also ends the connection.
    let _ = timeout(CLIENT_TIMEOUT, stream.read_to_end(&mut said))
        .await
        .expect("an end");
    said
}

#[tokio::test]
async fn with_a_certificate_it_answers_by_tls_on_both_protocols() {
    let certificates = Certificates::create();
    let server = certificates.serve(&[]).await;

    let stream = certificates
        .client("http/1.1")
        .connect(server.address)
        .await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(Http1::over(stream).await.ask().await, StatusCode::OK);

    let stream = certificates.client("h2").connect(server.address).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let opening = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = opening.expect("HTTP/2");
    tokio::spawn(connection);
    let request = Request::get("https://127.0.0.1/livez").body(String::new());
    let answer = sender.send_request(request.expect("a request"));
    let answer = timeout(CLIENT_TIMEOUT, answer).await.expect("in time");
    assert_eq!(answer.expect("an answer").status(), StatusCode::OK);
}

#[tokio::test]
async fn by_tls_only_plain_http_gets_no_answer_and_harms_nobody() {
    let certificates = Certificates::create();
    let server = certificates.serve(&[]).await;
    let request = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    for _ in 0..20 {
        let stream = TcpStream::connect(server.address).await;
        let said = said_to(stream.expect("a connection"), request).await;
        assert!(!said.starts_with(b"HTTP"), "{said:?}");
    }
    certificates.client("http/1.1").shown(server.address).await;
    let log = server.log();
    assert!(
        !log.contains("handshake") && !log.contains("ERROR"),
        "{log}"
    );
}

#[tokio::test]
async fn a_tls_handshake_that_stalls_is_closed_and_others_are_served_meanwhile() {
    let certificates = Certificates::create();
    let server = certificates.serve(&["--header-timeout", "5s"]).await;
    for opening in [&b""[..], HALF_A_HELLO] {
        let stream = TcpStream::connect(server.address).await;
        let stalling = tokio::spawn(said_to(stream.expect("a connection"), opening));
        certificates.client("http/1.1").shown(server.address).await;
        assert!(stalling.await.expect("an end").is_empty());
    }
}

#[tokio::test]
async fn a_tls_handshake_counts_as_a_connection_and_holds_up_no_stop() {
    let certificates = Certificates::create();
    let more = [
        "--max-connections",
        "1",
        "--header-timeout",
        "10m",
        "--shutdown-timeout",
        "20s",
    ];
    let server = certificates.serve(&more).await;
    let mut stalling = TcpStream::connect(server.address).await.expect("a place");
    stalling.write_all(HALF_A_HELLO).await.expect("written");
    let second = TcpStream::connect(server.address).await;
    assert!(said_to(second.expect("a connection"), b"").await.is_empty());
    server.wait_for_log("a connection was refused").await;

    server.signal("-TERM");
    let (code, log) = server.end().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("cut off"), "{log}");
}

#[tokio::test]
async fn a_new_tls_certificate_is_shown_to_new_connections_and_old_ones_go_on() {
    let certificates = Certificates::create();
    let server = certificates.serve(&[]).await;
    // The same client each time, which would resume its old session if it could.
    let client = certificates.client("http/1.1");
    let mut established = Http1::over(client.connect(server.address).await).await;
    assert_eq!(established.ask().await, StatusCode::OK);
    assert_eq!(client.shown(server.address).await, established.certificate);

    let renewed = certificates.renew();
    server.wait_for_log("TLS certificate reloaded").await;
    assert_eq!(client.shown(server.address).await, renewed);
    assert_ne!(renewed, established.certificate);
    assert_eq!(established.ask().await, StatusCode::OK);
}

#[tokio::test]
async fn a_broken_tls_certificate_leaves_the_old_one_in_place_and_is_told_of_once() {
    let certificates = Certificates::create();
    let server = certificates.serve(&[]).await;
    let client = certificates.client("http/1.1");
    let first = client.shown(server.address).await;

    let another = KeyPair::generate().expect("a key").serialize_pem();
    fs::write(certificates.file("key.pem"), &another).expect("written");
    server.wait_for_log("is not that of the certificate").await;
    fs::remove_file(certificates.file("key.pem")).expect("removed");
    server.wait_for_log("key.pem can't be read").await;
    // Time for several more checks of the file.
    sleep(Duration::from_secs(4)).await;
    assert_eq!(client.shown(server.address).await, first);
    let log = server.log();
    assert_eq!(log.matches("ERROR").count(), 2, "{log}");
    assert!(!log.contains("PRIVATE") && !log.contains(&another[30..60]));

    let renewed = certificates.renew();
    server.wait_for_log("TLS certificate reloaded").await;
    assert_eq!(client.shown(server.address).await, renewed);
}

#[test]
fn a_start_with_a_tls_certificate_that_can_t_be_used_ends_with_one_line() {
    let certificates = Certificates::create();
    let (cert, key) = (certificates.file("cert.pem"), certificates.file("key.pem"));
    let (cert, key) = (
        cert.to_str().expect("a path"),
        key.to_str().expect("a path"),
    );
    let other = certificates.file("other.pem");
    let another = KeyPair::generate().expect("a key").serialize_pem();
    fs::write(&other, another).expect("written");
    let other = other.to_str().expect("a path");
    let missing = certificates.file("missing.pem");
    let missing = missing.to_str().expect("a path");
    for (more, complaint) in [
        (&["--tls-cert", cert][..], "--tls-key is missing"),
        (&["--tls-key", key], "--tls-cert is missing"),
        (
            &["--tls-cert", missing, "--tls-key", key],
            "missing.pem can't be read: No such file",
        ),
        (
            &["--tls-cert", cert, "--tls-key", missing],
            "missing.pem can't be read: No such file",
        ),
        (
            &["--tls-cert", key, "--tls-key", key],
            "key.pem holds no certificate in PEM format",
        ),
        (
            &["--tls-cert", cert, "--tls-key", cert],
            "cert.pem holds no private key without a passphrase in PEM format",
        ),
        (
            &["--tls-cert", cert, "--tls-key", other],
            "is not that of the certificate in",
        ),
    ] {
        let serve = ["--bind", "127.0.0.1:0", "--database-url", DATABASE];
        let output = binary::run(&[&serve, more].concat());
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(
            said.starts_with("error: ") && said.contains(complaint),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_command_that_asks_a_service_trusts_the_authorities_of_its_system() {
    let certificates = Certificates::create();
    let server = certificates.serve(&[]).await;
    let url = format!("https://{}", server.address);
    let authority = certificates.file("authority.pem");
    fs::write(&authority, certificates.authority.pem()).expect("written");
    let export = |authorities: &str| {
        let mut command = binary::command(&["export", "--server", &url]);
        binary::finish(command.env("SSL_CERT_FILE", authorities))
    };
    let trusting = export(authority.to_str().expect("a path"));
    let said = String::from_utf8_lossy(&trusting.stderr).into_owned();
    assert_eq!(
        trusting.stdout, b"kind: CircleRegistry\nversion: 1\n",
        "{said}"
    );
    let own = certificates.file("cert.pem");
    let refusing = export(own.to_str().expect("a path"));
    let said = String::from_utf8_lossy(&refusing.stderr).into_owned();
    assert!(said.contains("certificate"), "{said}");
    assert_eq!(refusing.status.code(), Some(1));
}
