//! Column types of webhooks: the secrets that messages are signed with, and why one is paused.

use std::fmt;

use poem_openapi::Enum;
use sea_orm::{DeriveActiveEnum, DeriveValueType, EnumIter};
use serde::{Deserialize, Serialize};

/// A secret that is stored as it is, because signing takes it. Only [`SigningSecret::reveal`] shows it.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub struct SigningSecret(String);

impl SigningSecret {
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Its text, for its owner and for signing.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningSecret").finish_non_exhaustive()
    }
}

/// Why a webhook is paused.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Enum, Serialize, Deserialize,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum PauseReason {
    /// No attempt has succeeded for as long as `--webhook-pause-after`.
    Failing,
    /// The receiver answered 410 Gone.
    Gone,
    /// The changes that were not delivered are no longer all there.
    CursorExpired,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        let secret = SigningSecret::new("whsec_c2VjcmV0".to_owned());
        assert_eq!(format!("{secret:?}"), "SigningSecret { .. }");
    }
}
