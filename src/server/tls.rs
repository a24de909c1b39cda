//! TLS: the certificate that the service shows, taken anew when its files change.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    Error as RustlsError, InconsistentKeys, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{net::TcpStream, sync::watch, task::spawn_blocking, time};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::config::ServerSettings;

/// How often to look whether the files have changed.
const LOOK: Duration = Duration::from_secs(1);

/// Why a certificate and its key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("a certificate and its key go together: {0} is missing")]
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

/// Opens TLS connections, with the certificate that is current when they are made.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    files: Files,
    loaded: Stamps,
    /// Replaced as a whole, so that no session of an old certificate is resumed under a new one.
    current: watch::Sender<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the certificate and the key that the settings name; none where they name neither.
    pub(crate) fn load(settings: &ServerSettings) -> Result<Option<Self>, TlsError> {
        let (certificate, key) = match (&settings.tls_cert, &settings.tls_key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
            (Some(_), None) => return Err(TlsError::Alone("--tls-key")),
            (None, Some(_)) => return Err(TlsError::Alone("--tls-cert")),
        };
        let files = Files { certificate, key };
        // Looked at before they are read: a change in between is seen as one.
        let loaded = files.stamps();
        let current = watch::Sender::new(files.read()?);
        Ok(Some(Self {
            files,
            loaded,
            current,
        }))
    }

    /// The handshake, within this time.
    pub(super) async fn open(
        &self,
        stream: TcpStream,
        limit: Duration,
    ) -> io::Result<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.current.borrow()));
        time::timeout(limit, acceptor.accept(stream)).await?
    }

    /// Takes up what changes in the files, for ever. What can't be used changes nothing, is told of
    /// once and tried again: it may have been the moment's fault.
    pub(super) async fn follow(self) {
        let (mut loaded, mut seen, mut refused) = (self.loaded, self.loaded, None);
        loop {
            time::sleep(LOOK).await;
            let files = self.files.clone();
            let look = spawn_blocking(move || files.changed(loaded, seen));
            let Ok((stamps, change)) = look.await else {
                continue;
            };
            seen = stamps;
            match change {
                Some(Ok(config)) => {
                    self.current.send_replace(config);
                    loaded = stamps;
                    tracing::info!("there is a new TLS certificate");
                }
                Some(Err(cause)) if refused != Some(stamps) => {
                    refused = Some(stamps);
                    tracing::error!(%cause, "the new TLS certificate can't be used; going on with the old one");
                }
                None | Some(Err(_)) => {}
            }
        }
    }
}

/// Where the certificate, with those that vouch for it, and its key are.
#[derive(Clone, Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// What tells that a file has been written, replaced or made readable: its inode, and when that
/// changed. None where there is no file.
type Stamp = Option<(u64, i64, i64)>;
type Stamps = [Stamp; 2];

impl Files {
    fn stamps(&self) -> Stamps {
        [&self.certificate, &self.key].map(|file| {
            let file = fs::metadata(file).ok()?;
            Some((file.ino(), file.ctime(), file.ctime_nsec()))
        })
    }

    /// How the files are now, and what is in them where that is not what was loaded. Two files are
    /// not written at once, so they are left alone until they are as they were seen before.
    fn changed(
        &self,
        loaded: Stamps,
        seen: Stamps,
    ) -> (Stamps, Option<Result<Arc<ServerConfig>, TlsError>>) {
        let stamps = self.stamps();
        let changed = stamps != loaded && stamps == seen;
        (stamps, changed.then(|| self.read()))
    }

    fn read(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let empty = |file: &Path, what| TlsError::Empty {
            file: file.to_owned(),
            what,
        };
        // What is wrong in them is not told further: it could quote the key.
        let chain = CertificateDer::pem_slice_iter(&contents(&self.certificate)?)
            .collect::<Result<Vec<_>, _>>()
            .ok()
            .filter(|chain| !chain.is_empty())
            .ok_or_else(|| empty(&self.certificate, "certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(&contents(&self.key)?)
            .map_err(|_| empty(&self.key, "private key without a passphrase"))?;
        configure(chain, key)
            .map(Arc::new)
            .map_err(|cause| self.unusable(cause))
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

fn contents(file: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(file).map_err(|cause| TlsError::Unreadable {
        file: file.to_owned(),
        cause,
    })
}

/// TLS 1.2 and 1.3 as rustls sees fit, for HTTP/2 and HTTP/1.1.
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
