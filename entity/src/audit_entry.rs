//! Audit entries: who changed what, and when. Never which values.

use sea_orm::entity::prelude::*;

use crate::values::StringList;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_entries")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub at: DateTimeUtc,
    /// The API key it was done with; null for nobody's. Entries outlive what they tell of, so this
    /// and `resource_id` are no foreign keys.
    pub key_id: Option<i64>,
    pub action: String,
    pub resource: String,
    pub resource_id: Option<i64>,
    pub name: Option<String>,
    pub fields: StringList,
    pub revision: Option<i64>,
    pub request_id: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
