//! Agents. A model can't be deleted while agents run on it.
//!
//! The lists that agents are filtered by (skills, competencies) have a GIN index on PostgreSQL. SQLite
//! can't index the elements of a JSON list: there the filter reads the table in key order and stops
//! when its page is full.

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
                    .table("agents")
                    .col(big_pk_auto("id"))
                    .col(text("name").check(Expr::col("name").ne("")))
                    .col(text_null("role"))
                    .col(text_null("system_prompt"))
                    .col(text_null("base_prompt"))
                    .col(ddl::json("skill_names", "[]"))
                    .col(ddl::json("competencies", "[]"))
                    .col(ddl::json("can_review", "[]"))
                    .col(ddl::json("traits", "[]"))
                    .col(ddl::json("languages", "[]"))
                    .col(text_null("communication_style"))
                    .col(double_null("temperature").check(Expr::col("temperature").between(0, 2)))
                    .col(big_integer_null("max_tokens").check(Expr::col("max_tokens").gte(1)))
                    .col(big_integer_null("model_id"))
                    .col(ddl::one_of("status", "idle", &["idle", "busy", "offline"]))
                    .col(ddl::flag("is_active", true))
                    .col(ddl::json("metadata", "{}"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .foreign_key(
                        ForeignKey::create()
                            .name("agents_model_fk")
                            .from("agents", "model_id")
                            .to("models", "id")
                            .on_delete(ForeignKeyAction::NoAction),
                    )
                    .to_owned(),
            )
            .await?;
        ddl::run(
            manager,
            &[
                "CREATE INDEX agents_model ON agents (model_id, id)",
                "CREATE INDEX agents_status ON agents (status, id) WHERE is_active",
                "CREATE INDEX agents_live ON agents (id) WHERE is_active",
            ],
        )
        .await?;
        ddl::run_on_postgres(
            manager,
            &[
                "CREATE INDEX agents_skills ON agents USING gin (skill_names jsonb_path_ops)",
                "CREATE INDEX agents_competencies ON agents USING gin (competencies jsonb_path_ops)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop_table(manager, "agents").await
    }
}
