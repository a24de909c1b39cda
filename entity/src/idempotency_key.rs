//! Idempotency keys: the stored response to a POST, to be replayed.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency_keys")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The caller that sent the key. Keys of different callers are independent.
    pub caller: String,
    pub method: String,
    pub path: String,
    pub key: String,
    /// SHA-256 of the body, in Base64.
    pub digest: String,
    pub status: i32,
    pub location: Option<String>,
    pub etag: Option<String>,
    pub body: String,
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
