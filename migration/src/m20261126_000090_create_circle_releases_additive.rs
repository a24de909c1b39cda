//! Releases of circles. A release holds its documents as they are, compressed, and refers to nothing but its circle: what
//! it shows can be deleted.

use sea_orm_migration::{prelude::*, schema::*};

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut circle = ForeignKey::create()
            .name("circle_releases_circle_fk")
            .from("circle_releases", "circle_id")
            .to("circles", "id")
            .on_delete(ForeignKeyAction::Cascade)
            .to_owned();
        // The documents are the last columns, so that SQLite reads the others without them.
        let releases = Table::create()
            .table("circle_releases")
            .col(big_integer("circle_id"))
            .col(big_integer("number"))
            .col(text("digest"))
            .col(text_null("message"))
            .col(timestamp_with_time_zone("created_at"))
            .col(big_integer_null("key_id"))
            .col(blob("handles"))
            .col(blob("team"))
            .primary_key(Index::create().col("circle_id").col("number"))
            .foreign_key(&mut circle)
            .to_owned();
        manager.create_table(releases).await?;
        ddl::run(
            manager,
            &[
                // By the digest first: no plan may read all releases of a circle by it.
                "CREATE UNIQUE INDEX circle_releases_digest ON circle_releases (digest, circle_id)",
                "ALTER TABLE circles ADD COLUMN last_release bigint NOT NULL DEFAULT 0",
            ],
        )
        .await?;
        // They are compressed already.
        let documents = ["handles", "team"].map(|column| {
            format!("ALTER TABLE circle_releases ALTER COLUMN {column} SET STORAGE EXTERNAL")
        });
        ddl::run_on_postgres(manager, &[&documents[0], &documents[1]]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run(manager, &["ALTER TABLE circles DROP COLUMN last_release"]).await?;
        ddl::drop_table(manager, "circle_releases").await
    }
}
