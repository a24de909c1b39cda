//! API keys, with their scopes and expiry. Only the hash of a secret is stored.

use sea_orm::entity::prelude::*;

use crate::values::ScopeList;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub name: String,
    pub scopes: ScopeList,
    /// SHA-256 of the secret, in Base64.
    pub secret_hash: String,
    pub created_at: DateTimeUtc,
    pub expires_at: Option<DateTimeUtc>,
    /// A revoked key is kept, so that the audit trail can always name it.
    pub revoked_at: Option<DateTimeUtc>,
    /// Accurate to about a minute.
    pub last_used_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
