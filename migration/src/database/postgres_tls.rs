//! How a connection to PostgreSQL is encrypted and checked. Files are read when the program starts, so
//! that a wrong one ends the start; the driver reads them again for each connection.

use std::path::{Path, PathBuf};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use sea_orm_migration::sea_orm::sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::{
    bounds,
    postgres_parameters::{Parameter, Parameters},
    target::{Fault, TargetError},
};

/// The largest file of certificates, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// Sets the mode and the files. As in libpq, a file of root certificates means that the server's is
/// checked. Unlike there, this includes the mode `prefer`, so that nothing is sent unencrypted.
pub(super) fn apply(
    options: PgConnectOptions,
    parameters: &Parameters,
) -> Result<PgConnectOptions, TargetError> {
    let mode = match parameters.value("sslmode") {
        None => parameters.value("ssl").map(|_| "require"),
        mode => mode,
    };
    let options = match (mode, parameters.get("sslrootcert")) {
        (Some("disable"), Some(root)) if root.value != "system" => {
            return Ok(options.ssl_mode(PgSslMode::Disable));
        }
        (None | Some("verify-full"), Some(root)) if root.value == "system" => options
            .ssl_mode(PgSslMode::VerifyFull)
            .ssl_root_cert(system_store(root)?),
        (_, Some(root)) if root.value == "system" => return Err(root.error(Fault::WeakMode)),
        (mode, Some(root)) => {
            let checked = match mode {
                Some("verify-full") => PgSslMode::VerifyFull,
                _ => PgSslMode::VerifyCa,
            };
            options
                .ssl_mode(checked)
                .ssl_root_cert(certificates(root, root.value.as_ref())?)
        }
        (Some("disable"), None) => return Ok(options.ssl_mode(PgSslMode::Disable)),
        (Some("require"), None) => options.ssl_mode(PgSslMode::Require),
        (Some("verify-ca"), None) => options.ssl_mode(PgSslMode::VerifyCa),
        (Some("verify-full"), None) => options.ssl_mode(PgSslMode::VerifyFull),
        // The driver does not encrypt for `allow`, not even if the server insists.
        (_, None) => options.ssl_mode(PgSslMode::Prefer),
    };
    match (parameters.get("sslcert"), parameters.get("sslkey")) {
        (None, None) => Ok(options),
        (Some(certificate), Some(key)) => Ok(options
            .ssl_client_cert(certificates(certificate, certificate.value.as_ref())?)
            .ssl_client_key(private_key(key)?)),
        (Some(alone), None) | (None, Some(alone)) => Err(alone.error(Fault::NotAPair)),
    }
}

fn system_store(root: &Parameter) -> Result<PathBuf, TargetError> {
    let file = openssl_probe::probe().cert_file;
    let file = file.ok_or_else(|| root.error(Fault::NoSystemStore))?;
    certificates(root, &file)
}

/// The path, if it is a file of certificates.
fn certificates(parameter: &Parameter, path: &Path) -> Result<PathBuf, TargetError> {
    let pem = read(parameter, path)?;
    let mut found = CertificateDer::pem_slice_iter(&pem).peekable();
    if found.peek().is_none() || found.any(|certificate| certificate.is_err()) {
        return Err(parameter.error(Fault::NoCertificates));
    }
    Ok(path.to_owned())
}

fn private_key(parameter: &Parameter) -> Result<PathBuf, TargetError> {
    let path = PathBuf::from(&parameter.value);
    match PrivateKeyDer::from_pem_slice(&read(parameter, &path)?) {
        Ok(_) => Ok(path),
        Err(_) => Err(parameter.error(Fault::NoKey)),
    }
}

fn read(parameter: &Parameter, path: &Path) -> Result<Vec<u8>, TargetError> {
    bounds::read(path, MAX_FILE).map_err(|cause| parameter.error(Fault::File(cause)))
}
