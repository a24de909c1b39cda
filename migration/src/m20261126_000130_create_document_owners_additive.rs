//! Who owns what documents describe. A table of its own, because only documents ask: a column in five tables would change
//! the revisions of their rows. A row may outlive its resource; ids are not used again.

use sea_orm_migration::{prelude::*, schema::*};

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let owners = Table::create()
            .table("document_owners")
            .col(text("resource"))
            .col(big_integer("resource_id"))
            .col(text("owner"))
            .primary_key(Index::create().col("resource").col("resource_id"))
            .to_owned();
        manager.create_table(owners).await?;
        ddl::run(
            manager,
            &["CREATE INDEX document_owners_owner ON document_owners (owner)"],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop_table(manager, "document_owners").await
    }
}
