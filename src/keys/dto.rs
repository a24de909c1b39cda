//! What a key looks like on the wire.

use chrono::{DateTime, Utc};
use entity::{api_key, values::Scope};
use poem_openapi::Object;
use serde::Serialize;

use super::token::Token;

/// An API key. What a caller shows, its token, is told once, when it is created.
#[derive(Debug, Object, Serialize)]
pub(crate) struct Key {
    /// Assigned by the service; part of the token.
    pub(crate) id: i64,
    /// What it is for, for people.
    pub(crate) name: String,
    /// What it is good for.
    pub(crate) scopes: Vec<Scope>,
    /// When it was created (UTC).
    pub(crate) created_at: DateTime<Utc>,
    /// When it ceases to be good (UTC); null where it does not by itself.
    #[oai(nullable)]
    pub(crate) expires_at: Option<DateTime<Utc>>,
    /// When it was revoked (UTC).
    #[oai(nullable)]
    pub(crate) revoked_at: Option<DateTime<Utc>>,
    /// When it was last used (UTC), to the minute; null where it never was.
    #[oai(nullable)]
    pub(crate) last_used_at: Option<DateTime<Utc>>,
}

impl From<api_key::Model> for Key {
    fn from(row: api_key::Model) -> Self {
        let api_key::Model {
            id,
            name,
            scopes,
            secret_hash: _,
            created_at,
            expires_at,
            revoked_at,
            last_used_at,
        } = row;
        Self {
            id,
            name,
            scopes: scopes.0,
            created_at,
            expires_at,
            revoked_at,
            last_used_at,
        }
    }
}

/// A key that has just been created, and its token.
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
