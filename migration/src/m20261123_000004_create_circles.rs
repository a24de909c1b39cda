//! Circles. Names are unique among active circles only: deleting a circle frees its name.

use sea_orm_migration::{prelude::*, schema::*};

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("circles")
                    .col(big_pk_auto("id"))
                    .col(text("name").check(Expr::col("name").ne("")))
                    .col(text_null("display_name"))
                    .col(text_null("description"))
                    .col(ddl::one_of(
                        "status",
                        "stopped",
                        &["stopped", "running", "paused"],
                    ))
                    .col(ddl::flag("require_review", true))
                    .col(ddl::flag("auto_route", true))
                    .col(integer_null("max_members").check(Expr::col("max_members").gte(1)))
                    .col(ddl::json("settings", "{}"))
                    .col(ddl::flag("is_active", true))
                    .col(timestamp_with_time_zone_null("started_at"))
                    .col(timestamp_with_time_zone_null("stopped_at"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .to_owned(),
            )
            .await?;
        ddl::run(
            manager,
            &[
                "CREATE UNIQUE INDEX circles_name_unique ON circles (name) WHERE is_active",
                "CREATE INDEX circles_status ON circles (status, id) WHERE is_active",
                "CREATE INDEX circles_live ON circles (id) WHERE is_active",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop_table(manager, "circles").await
    }
}
