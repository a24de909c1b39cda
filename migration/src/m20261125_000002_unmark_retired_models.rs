//! The mark `is_deprecated` is a person's. Earlier imports set it for a model whose deprecation date had come,
//! and it stayed when a later list corrected the date. Such a model is deprecated by its date now, so the mark
//! goes, unless a person created the model or set the mark: the audit trail tells.
//!
//! Reverting marks the models that the import would mark.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        mark(manager, false).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        mark(manager, true).await
    }
}

/// Marks or unmarks the models whose mark only the import would set. No roster shows the mark.
async fn mark(manager: &SchemaManager<'_>, deprecated: bool) -> Result<(), DbErr> {
    let backend = manager.get_database_backend();
    let now = ddl::now(backend);
    let today = match backend {
        DbBackend::Sqlite => "date('now')",
        _ => "CAST(now() AT TIME ZONE 'UTC' AS date)",
    };
    let update = format!(
        "UPDATE models SET is_deprecated = {deprecated}, revision = revision + 1, updated_at = {now} \
         WHERE is_deprecated <> {deprecated} AND deprecation_date <= {today} \
         AND NOT EXISTS (SELECT 1 FROM audit_entries e \
           WHERE e.resource = 'model' AND e.resource_id = models.id \
           AND (e.action = 'create' OR CAST(e.fields AS text) LIKE '%\"is_deprecated\"%'))"
    );
    ddl::run(manager, &[&update]).await
}
