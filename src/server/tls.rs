//! TLS with a certificate that is reloaded when its files change.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use migration::bounds;
use rustls::{
    Error as RustlsError, InconsistentKeys, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{net::TcpStream, sync::watch, task::spawn_blocking, time};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::certificate::Validity;
use crate::config::ServerSettings;

const CERT_POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The largest file, in bytes. A chain has a few thousand.
const MAX_FILE: u64 = 1 << 20;

/// Why a certificate and its key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("--tls-cert and --tls-key go together: {0} is missing")]
    Alone(&'static str),
    #[error("{} can't be read: {cause}", file.display())]
    Unreadable { file: PathBuf, cause: io::Error },
    #[error("{} holds no {what} in PEM format", file.display())]
    Empty { file: PathBuf, what: &'static str },
    #[error("the key in {} is not that of the certificate in {}", key.display(), certificate.display())]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("{} and {} can't be used for TLS: {cause}", certificate.display(), key.display())]
    Unusable {
        certificate: PathBuf,
        key: PathBuf,
        cause: RustlsError,
    },
}

/// Accepts TLS connections with the current certificate.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    files: CertFiles,
    loaded: FileStamps,
    /// Replaced as a whole, so that no TLS session of an old certificate is resumed under a new one.
    current: watch::Sender<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the certificate and the key that the settings name; `None` if they name neither.
    pub(crate) fn load(settings: &ServerSettings) -> Result<Option<Self>, TlsError> {
        let (certificate, key) = match (&settings.tls_cert, &settings.tls_key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
            (Some(_), None) => return Err(TlsError::Alone("--tls-key")),
            (None, Some(_)) => return Err(TlsError::Alone("--tls-cert")),
        };
        let files = CertFiles { certificate, key };
        // Before the files are read, so that a change in between is noticed.
        let loaded = files.stamps();
        let current = watch::Sender::new(files.read()?);
        Ok(Some(Self {
            files,
            loaded,
            current,
        }))
    }

    /// When the certificate on disk is valid; `None` if that can't be read.
    pub(crate) fn validity(&self) -> Option<Validity> {
        Validity::of(&self.files.chain().ok()?)
    }

    /// Runs the handshake.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        timeout: Duration,
    ) -> io::Result<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.current.borrow()));
        time::timeout(timeout, acceptor.accept(stream)).await?
    }

    /// Reloads the files whenever they change, for ever. Files that can't be used are logged once and
    /// tried again on each poll, while the old certificate stays in use.
    pub(super) async fn reload_changes(self) {
        let (mut loaded, mut seen, mut refused) = (self.loaded, self.loaded, None);
        loop {
            time::sleep(CERT_POLL_INTERVAL).await;
            let files = self.files.clone();
            let poll = spawn_blocking(move || files.read_changed(loaded, seen));
            let Ok((stamps, change)) = poll.await else {
                continue;
            };
            seen = stamps;
            match change {
                Some(Ok(config)) => {
                    self.current.send_replace(config);
                    loaded = stamps;
                    tracing::info!("TLS certificate reloaded");
                }
                Some(Err(cause)) if refused != Some(stamps) => {
                    refused = Some(stamps);
                    tracing::error!(%cause, "the new TLS certificate can't be used; the old one stays in use");
                }
                None | Some(Err(_)) => {}
            }
        }
    }
}

/// The files of the certificate chain and of its private key.
#[derive(Clone, Debug)]
struct CertFiles {
    certificate: PathBuf,
    key: PathBuf,
}

/// The inode of each file and its change time, which differ after a file was written, replaced or made
/// readable. `None` for a missing file.
type FileStamps = [Option<(u64, i64, i64)>; 2];

impl CertFiles {
    fn stamps(&self) -> FileStamps {
        [&self.certificate, &self.key].map(|file| {
            let file = fs::metadata(file).ok()?;
            Some((file.ino(), file.ctime(), file.ctime_nsec()))
        })
    }

    /// The current stamps and, if they differ from `loaded`, the new configuration. Two files are not
    /// written at the same instant, so nothing is read until a second poll sees the same stamps.
    fn read_changed(
        &self,
        loaded: FileStamps,
        seen: FileStamps,
    ) -> (FileStamps, Option<Result<Arc<ServerConfig>, TlsError>>) {
        let stamps = self.stamps();
        let changed = stamps != loaded && stamps == seen;
        (stamps, changed.then(|| self.read()))
    }

    fn read(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let chain = self.chain()?;
        let key = PrivateKeyDer::from_pem_slice(&contents(&self.key)?)
            .map_err(|_| empty(&self.key, "private key without a passphrase"))?;
        Validity::of(&chain).inspect(|validity| validity.warn());
        configure(chain, key)
            .map(Arc::new)
            .map_err(|cause| self.unusable(cause))
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        // The parser's own error is dropped: it could quote the key.
        CertificateDer::pem_slice_iter(&contents(&self.certificate)?)
            .collect::<Result<Vec<_>, _>>()
            .ok()
            .filter(|chain| !chain.is_empty())
            .ok_or_else(|| empty(&self.certificate, "certificate"))
    }

    fn unusable(&self, cause: RustlsError) -> TlsError {
        let Self { certificate, key } = self.clone();
        match cause {
            RustlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsError::Mismatch { certificate, key }
            }
            cause => TlsError::Unusable {
                certificate,
                key,
                cause,
            },
        }
    }
}

fn empty(file: &Path, what: &'static str) -> TlsError {
    TlsError::Empty {
        file: file.to_owned(),
        what,
    }
}

fn contents(file: &Path) -> Result<Vec<u8>, TlsError> {
    bounds::read(file, MAX_FILE).map_err(|cause| TlsError::Unreadable {
        file: file.to_owned(),
        cause,
    })
}

/// TLS 1.2 and 1.3 with rustls's defaults, for HTTP/2 and HTTP/1.1.
fn configure(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, RustlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
