//! Owners: the label of the documents that a resource is described in. Documents of another label leave it alone.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "document_owners")]
pub struct Model {
    /// The kind of the resource, as in audit entries.
    #[sea_orm(primary_key, auto_increment = false)]
    pub resource: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub resource_id: i64,
    pub owner: String,
}

impl ActiveModelBehavior for ActiveModel {}
