//! Labels: names that point to releases of a circle. A release that one points to can't be deleted. A label has its
//! release's digest, so that a read which knows the document needs no row of the release.

use sea_orm_migration::{prelude::*, schema::*};

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut release = ForeignKey::create()
            .name("circle_labels_release_fk")
            .from("circle_labels", ("circle_id", "release"))
            .to("circle_releases", ("circle_id", "number"))
            // Checked at the end of a statement: a circle that is deleted takes both along.
            .on_delete(ForeignKeyAction::NoAction)
            .to_owned();
        let mut circle = ForeignKey::create()
            .name("circle_labels_circle_fk")
            .from("circle_labels", "circle_id")
            .to("circles", "id")
            .on_delete(ForeignKeyAction::Cascade)
            .to_owned();
        let labels = Table::create()
            .table("circle_labels")
            .col(big_pk_auto("id"))
            .col(big_integer("circle_id"))
            .col(text("name"))
            .col(big_integer("release"))
            .col(text("digest"))
            .col(timestamp_with_time_zone("created_at"))
            .col(timestamp_with_time_zone("updated_at"))
            .col(big_integer("revision").default(1))
            .foreign_key(&mut release)
            .foreign_key(&mut circle)
            .to_owned();
        manager.create_table(labels).await?;
        ddl::run(
            manager,
            &[
                "CREATE UNIQUE INDEX circle_labels_name ON circle_labels (circle_id, name)",
                "CREATE INDEX circle_labels_circle ON circle_labels (circle_id, id)",
                "CREATE INDEX circle_labels_release ON circle_labels (circle_id, release)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop_table(manager, "circle_labels").await
    }
}
