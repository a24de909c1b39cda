//! What a key looks like on the wire.

use chrono::{DateTime, Utc};
use entity::{
    api_key,
    values::{Scope, ScopeList},
};
use poem_openapi::Object;
use serde::Serialize;

use super::token::Token;
use crate::rows::{FromField, Json, Text, Timestamp, row};

row! {
    /// An API key. Its token is shown only once, in the response to its creation.
    #[derive(Debug, Object, Serialize)]
    #[oai(rename = "Key")]
    pub(crate) struct KeyRow<'r> of api_key without secret_hash {
        /// Assigned by the service; part of the token.
        pub(crate) id: i64,
        /// What the key is for.
        pub(crate) name: Text<'r>,
        /// What the key permits.
        pub(crate) scopes: Json<'r, Vec<Scope>>,
        /// When it was created (UTC).
        pub(crate) created_at: Timestamp<'r>,
        /// When the key expires (UTC); null for never.
        #[oai(nullable)]
        pub(crate) expires_at: Option<Timestamp<'r>>,
        /// When the key was revoked (UTC).
        #[oai(nullable)]
        pub(crate) revoked_at: Option<Timestamp<'r>>,
        /// When the key was last used (UTC), to the minute; null if never.
        #[oai(nullable)]
        pub(crate) last_used_at: Option<Timestamp<'r>>,
    }
}

/// A row that owns its values.
pub(crate) type Key = KeyRow<'static>;

impl FromField<ScopeList> for Json<'_, Vec<Scope>> {
    fn from_field(field: ScopeList) -> Self {
        Self::Owned(field.0)
    }
}

/// A new key, and its token.
#[derive(Object, Serialize)]
pub(crate) struct CreatedKey {
    /// What to send as `Authorization: Bearer …`. It is told here and never again: the service keeps
    /// only a hash of it.
    pub(crate) token: String,
    /// The key.
    pub(crate) key: Key,
}

impl CreatedKey {
    pub(crate) fn new(row: api_key::Model, token: &Token) -> Self {
        Self {
            token: token.reveal().to_owned(),
            key: row.into(),
        }
    }
}

/// A key to create.
#[derive(Clone, Debug, Object)]
pub(crate) struct KeyCreate {
    /// What the key is for; need not be unique.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub(crate) name: String,
    /// What the key permits.
    #[oai(validator(min_items = 1, max_items = 4))]
    pub(crate) scopes: Vec<Scope>,
    /// When the key expires; must be in the future. Null for never.
    #[oai(nullable)]
    pub(crate) expires_at: Option<DateTime<Utc>>,
}
