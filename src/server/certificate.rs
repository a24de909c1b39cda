//! How long a certificate is valid. Clients refuse one that is not; rustls serves it all the same.

use chrono::{DateTime, Utc};
use rustls::pki_types::CertificateDer;
use x509_parser::parse_x509_certificate;

/// When every certificate of a chain is valid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Validity {
    pub(crate) from: DateTime<Utc>,
    pub(crate) until: DateTime<Utc>,
}

impl Validity {
    /// `None` if a certificate can't be read.
    pub(super) fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let mut validity = Self {
            from: DateTime::<Utc>::MIN_UTC,
            until: DateTime::<Utc>::MAX_UTC,
        };
        for certificate in chain {
            let (_, certificate) = parse_x509_certificate(certificate).ok()?;
            let valid = certificate.validity();
            let from = DateTime::from_timestamp(valid.not_before.timestamp(), 0)?;
            let until = DateTime::from_timestamp(valid.not_after.timestamp(), 0)?;
            validity.from = validity.from.max(from);
            validity.until = validity.until.min(until);
        }
        Some(validity)
    }

    /// Warns of a certificate that clients refuse.
    pub(super) fn warn(self) {
        let Self { from, until } = self;
        if !(from..=until).contains(&Utc::now()) {
            tracing::warn!(%from, %until, "the TLS certificate is not valid now, and clients refuse it");
        }
    }
}
