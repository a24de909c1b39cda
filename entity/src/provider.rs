//! Providers: who serves models, and over which wire protocol.

use sea_orm::entity::prelude::*;

use crate::values::JsonObject;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "providers")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub name: String,
    pub display_name: Option<String>,
    pub api_type: String,
    pub base_url: Option<String>,
    pub is_local: bool,
    pub api_key_env: Option<String>,
    pub config: JsonObject,
    /// Its name in lists that are imported, in lower case; it stays when the provider is renamed.
    pub catalog_name: Option<String>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    /// Incremented by every change.
    pub revision: i64,
}

crate::revision::versioned!();
