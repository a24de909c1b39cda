//! Audit entries: who changed what and when, without the values.

use sea_orm::entity::prelude::*;

use crate::values::StringList;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_entries")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub at: DateTimeUtc,
    /// The API key that made the change; null without one. Entries outlive what they refer to, so this
    /// and `resource_id` are not foreign keys.
    pub key_id: Option<i64>,
    pub action: String,
    pub resource: String,
    pub resource_id: Option<i64>,
    pub name: Option<String>,
    pub fields: StringList,
    pub revision: Option<i64>,
    pub request_id: Option<String>,
    pub client_address: Option<String>,
    /// The circle that was changed, or whose part was.
    pub circle_id: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
