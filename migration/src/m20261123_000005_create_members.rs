//! Members. An agent has at most one membership in a circle: removing it makes it inactive, and adding
//! the agent again reactivates it.
//!
//! A membership is deleted with its circle or its agent (CASCADE). The service never deletes those
//! rows; the rule is for operators who purge old ones.

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
                    .table("members")
                    .col(big_pk_auto("id"))
                    .col(big_integer("circle_id"))
                    .col(big_integer("agent_id"))
                    .col(ddl::one_of(
                        "role",
                        "member",
                        &["lead", "member", "specialist", "reviewer", "observer"],
                    ))
                    .col(ddl::json("competencies", "[]"))
                    .col(ddl::json("can_review", "[]"))
                    .col(ddl::json("permissions", "{}"))
                    .col(ddl::flag("is_active", true))
                    .col(timestamp_with_time_zone("joined_at"))
                    .col(timestamp_with_time_zone_null("left_at"))
                    .foreign_key(
                        ForeignKey::create()
                            .name("members_circle_fk")
                            .from("members", "circle_id")
                            .to("circles", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .foreign_key(
                        ForeignKey::create()
                            .name("members_agent_fk")
                            .from("members", "agent_id")
                            .to("agents", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await?;
        ddl::run(
            manager,
            &[
                "CREATE UNIQUE INDEX members_agent_unique ON members (circle_id, agent_id)",
                "CREATE INDEX members_circle ON members (circle_id, id)",
                "CREATE INDEX members_agent ON members (agent_id, id)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop_table(manager, "members").await
    }
}
