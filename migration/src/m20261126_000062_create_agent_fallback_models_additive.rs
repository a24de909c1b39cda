//! Which agents may fall back on which models. A model that an agent may fall back on can't be deleted.

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
                    .table("agent_fallback_models")
                    .col(big_integer("agent_id"))
                    .col(big_integer("model_id"))
                    .primary_key(Index::create().col("agent_id").col("model_id"))
                    .foreign_key(
                        ForeignKey::create()
                            .name("agent_fallback_models_agent_fk")
                            .from("agent_fallback_models", "agent_id")
                            .to("agents", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .foreign_key(
                        ForeignKey::create()
                            .name("agent_fallback_models_model_fk")
                            .from("agent_fallback_models", "model_id")
                            .to("models", "id")
                            .on_delete(ForeignKeyAction::Restrict),
                    )
                    .to_owned(),
            )
            .await?;
        let index = "CREATE INDEX agent_fallback_models_model ON agent_fallback_models (model_id, agent_id)";
        ddl::run(manager, &[index]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop_table(manager, "agent_fallback_models").await
    }
}
