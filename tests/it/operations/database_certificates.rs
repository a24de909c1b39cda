//! Encryption of the connection to PostgreSQL, and whose certificates are trusted.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use test_support::{
    binary,
    faults::within,
    postgres,
    postgres_server::{Durability, PostgresServer},
};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(parameters, key).expect("an authority")
}

/// A certificate for `localhost` and its key, in PEM.
fn certificate(authority: &Authority) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let parameters = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let certificate = parameters
        .signed_by(&key, authority)
        .expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

/// A server with a certificate, and the files of the authority that signed it and of another one.
struct EncryptedServer {
    postgres: PostgresServer,
    folder: TempDir,
    /// A setting of the server's address by 127.0.0.1, which is not in the certificate.
    address: String,
}

impl EncryptedServer {
    async fn set() -> Self {
        let (ours, other) = (authority(), authority());
        let mut postgres = PostgresServer::create(Durability::Off);
        let (certificate, key) = certificate(&ours);
        postgres.write("db/server.crt", &certificate);
        postgres.write("db/server.key", &key);
        postgres.configure_also("ssl = on\n");
        postgres.start_ready().await;
        let folder = TempDir::new().expect("a folder");
        for (name, text) in [
            ("ours", ours.pem()),
            ("other", other.pem()),
            ("key", key),
            ("none", String::new()),
        ] {
            fs::write(folder.path().join(name), text).expect("a file");
        }
        let address = format!("127.0.0.1:{}", postgres.port());
        Self {
            postgres,
            folder,
            address,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where each name in brackets is a one of the files.
    fn url(&self, host: &str, query: &str) -> String {
        let folder = format!("{}/", self.folder.path().display());
        let query = query.replace('[', &folder).replace(']', "");
        format!(
            "postgres://test@{host}:{}/postgres?{query}",
            self.postgres.port()
        )
    }
}

fn serve(url: &str) -> Command {
    let mut command = binary::command(&["serve", "--bind", "127.0.0.1:0"]);
    command.env("DATABASE_URL", url);
    command
}

/// The last line of a start that fails.
#[track_caller]
fn refusal(command: &mut Command) -> String {
    let begun = Instant::now();
    let output = binary::finish(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
    let taken = begun.elapsed();
    assert!(
        taken < within(Duration::from_secs(5)),
        "it ends at once: {taken:?}"
    );
    said.lines().last().expect("a line").to_owned()
}

#[track_caller]
fn connects(url: &str, variables: &[(&str, &Path)]) {
    let mut command = binary::command(&["migrate", "status", "--database-url", url]);
    command.envs(variables.iter().copied());
    let output = binary::finish(&mut command);
    assert!(
        output.status.success(),
        "{url}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn a_file_of_root_certificates_means_that_the_server_s_is_checked() {
    let server = EncryptedServer::set().await;
    for query in [
        "sslmode=require",
        "sslrootcert=[ours]",
        "sslmode=prefer&sslrootcert=[ours]",
        "sslmode=require&sslrootcert=[ours]",
        "sslmode=verify-ca&sslrootcert=[ours]",
        "sslmode=disable&sslrootcert=[other]",
        "ssl=true&sslrootcert=[ours]",
        "channel_binding=prefer",
    ] {
        connects(&server.url("127.0.0.1", query), &[]);
    }
    connects(
        &server.url("localhost", "sslmode=verify-full&sslrootcert=[ours]"),
        &[],
    );
    for query in [
        "sslrootcert=[other]",
        "sslmode=allow&sslrootcert=[other]",
        "sslmode=prefer&sslrootcert=[other]",
        "sslmode=require&sslrootcert=[other]",
        "ssl=true&sslrootcert=[other]",
        "sslmode=verify-ca&sslrootcert=[other]",
        "sslmode=verify-full&sslrootcert=[other]",
        "sslmode=verify-full&sslrootcert=[ours]",
        "sslmode=verify-full",
    ] {
        let line = refusal(&mut serve(&server.url("127.0.0.1", query)));
        assert!(line.contains("certificate"), "{query}: {line}");
    }
}

#[tokio::test]
async fn the_system_s_store_of_certificates_can_be_used() {
    let server = EncryptedServer::set().await;
    let system = server.url("localhost", "sslrootcert=system");
    connects(&system, &[("SSL_CERT_FILE", &server.file("ours"))]);
    let line = refusal(serve(&system).env("SSL_CERT_FILE", server.file("other")));
    assert!(line.contains("certificate"), "{line}");
    let elsewhere = server.url("127.0.0.1", "sslrootcert=system");
    let line = refusal(serve(&elsewhere).env("SSL_CERT_FILE", server.file("ours")));
    assert!(
        line.contains("not valid for name"),
        "the name is checked: {line}"
    );
    for weak in ["require", "verify-ca", "prefer", "disable"] {
        let line = refusal(&mut serve(
            &server.url("localhost", &format!("sslmode={weak}&sslrootcert=system")),
        ));
        assert!(
            line.contains("sslrootcert") && line.contains("verify-full"),
            "{weak}: {line}"
        );
    }
}

#[tokio::test]
async fn a_file_that_can_not_be_used_ends_the_start() {
    let server = EncryptedServer::set().await;
    for (query, parameter) in [
        ("sslrootcert=/no/such", "sslrootcert"),
        ("sslmode=verify-full&sslrootcert=[none]", "sslrootcert"),
        ("sslmode=verify-full&sslrootcert=[key]", "sslrootcert"),
        ("sslmode=require&sslrootcert=/dev/zero", "sslrootcert"),
        ("sslmode=require&sslcert=[ours]", "sslcert"),
        ("sslmode=require&sslkey=[key]", "sslkey"),
        ("sslmode=require&sslcert=[ours]&sslkey=[ours]", "sslkey"),
        ("sslmode=require&sslcert=/no/such&sslkey=[key]", "sslcert"),
    ] {
        let line = refusal(&mut serve(&server.url("127.0.0.1", query)));
        assert!(
            line.contains(&format!("`{parameter}` of DATABASE_URL")),
            "{query}: {line}"
        );
    }
}

#[tokio::test]
async fn what_can_not_be_met_is_refused_by_its_name_and_never_by_its_value() {
    let url = postgres::url_of("postgres");
    for (query, named) in [
        ("sslMode=hunter2", "`sslMode`"),
        ("SSLMODE=hunter2", "`SSLMODE`"),
        ("ssl_mode=hunter2", "`ssl_mode`"),
        ("sslmode=hunter2", "`sslmode`"),
        ("sslmode=Require", "`sslmode`"),
        ("sslcrl=hunter2", "`sslcrl`"),
        ("sslpassword=hunter2", "`sslpassword`"),
        ("channel_binding=require", "`channel_binding`"),
        ("gssencmode=require", "`gssencmode`"),
        ("require_auth=hunter2", "`require_auth`"),
        ("target_session_attrs=hunter2", "`target_session_attrs`"),
        ("sslmode=require", "TLS"),
    ] {
        let line = refusal(&mut serve(&format!("{url}?{query}")));
        assert!(
            line.contains(named) && !line.contains("hunter2"),
            "{query}: {line}"
        );
    }
    for (variable, value) in [
        ("PGSSLMODE", "hunter2"),
        ("PGSSLROOTCERT", "/hunter2"),
        ("PGCHANNELBINDING", "require"),
    ] {
        let line = refusal(serve(&url).env(variable, value));
        assert!(
            line.contains(variable) && !line.contains("hunter2"),
            "{line}"
        );
    }
}

#[tokio::test]
async fn the_variables_of_libpq_count_for_an_address_in_parts() {
    let server = EncryptedServer::set().await;
    let with_root = |name: &str| {
        let mut command = binary::command(&["serve"]);
        command
            .env("DB_HOST", &server.address)
            .env("DB_USER", "test")
            .env("DB_NAME", "postgres")
            .env("PGSSLMODE", "verify-ca")
            .env("PGSSLROOTCERT", server.file(name));
        command
    };
    let line = refusal(with_root("other").env("BIND", "127.0.0.1:0"));
    assert!(line.contains("certificate"), "{line}");
    let service = binary::Server::run(with_root("ours"), "127.0.0.1").await;
    service.wait_for("/readyz", reqwest::StatusCode::OK).await;
}
