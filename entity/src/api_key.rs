//! API keys: who may ask, for what, and until when. The secret itself is not here, only its hash.

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
    /// A revoked key stays, so that what it did can be told for ever.
    pub revoked_at: Option<DateTimeUtc>,
    /// To the minute, more or less.
    pub last_used_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
