//! Models are named as their providers' APIs name them. Earlier versions imported a model under its key in
//! the price list, which begins with LiteLLM's route: `groq/llama-3.3-70b` is `llama-3.3-70b` in Groq's API.
//! The key moves to a column of its own, by which the next import finds the model.
//!
//! A model that a person created or named keeps its name; the audit trail tells. If two rows of a provider
//! get the same name, one stays: the one that agents use; if that does not decide, one that a person changed,
//! and then the one that has the name already. Agents of the other move to it. Reverting restores the keys as
//! names, but not those other rows, which the next import adds again. Renaming leaves one entry in the audit
//! trail.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        let now = ddl::now(backend);
        hold_writers(manager).await?;
        ddl::run(
            manager,
            &[
                "ALTER TABLE models ADD COLUMN catalog_key text",
                &list_renames(backend),
                &format!(
                    "UPDATE agents SET revision = revision + 1, updated_at = {now}, \
                     model_id = (SELECT kept_id FROM model_renames r WHERE r.id = agents.model_id) \
                     WHERE model_id IN (SELECT id FROM model_renames WHERE id <> kept_id)"
                ),
                "DELETE FROM models WHERE id IN (SELECT id FROM model_renames WHERE id <> kept_id)",
                UNINDEX_NAMES,
                &format!(
                    "UPDATE models SET revision = revision + 1, updated_at = {now}, \
                     catalog_key = model_name, \
                     model_name = (SELECT new_name FROM model_renames r WHERE r.id = models.id) \
                     WHERE id IN (SELECT id FROM model_renames WHERE new_name <> old_name)"
                ),
                INDEX_NAMES,
                &format!("{} WHERE EXISTS (SELECT 1 FROM model_renames)", audit(now)),
                "DROP TABLE model_renames",
                "CREATE UNIQUE INDEX models_key_unique ON models (provider_id, catalog_key)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // A model that was given a name of its own keeps it, and so does one whose key is another's name.
        let has_route = |table: &str| {
            format!(
                "coalesce(substr({table}.catalog_key, length({table}.catalog_key) \
                 - length({table}.model_name)) = '/' || {table}.model_name, false)"
            )
        };
        let renamed = format!(
            "{} AND NOT EXISTS (SELECT 1 FROM models other WHERE NOT {} \
             AND other.provider_id = models.provider_id AND other.model_name = models.catalog_key)",
            has_route("models"),
            has_route("other")
        );
        let now = ddl::now(manager.get_database_backend());
        hold_writers(manager).await?;
        ddl::run(
            manager,
            &[
                &format!(
                    "{} WHERE EXISTS (SELECT 1 FROM models WHERE {renamed})",
                    audit(now)
                ),
                UNINDEX_NAMES,
                &format!(
                    "UPDATE models SET revision = revision + 1, updated_at = {now}, \
                     model_name = catalog_key WHERE {renamed}"
                ),
                INDEX_NAMES,
                "DROP INDEX models_key_unique",
                "ALTER TABLE models DROP COLUMN catalog_key",
            ],
        )
        .await
    }
}

/// A statement checks a unique index row by row, and one model may get the name that another gives up.
const UNINDEX_NAMES: &str = "DROP INDEX models_name_unique";
const INDEX_NAMES: &str =
    "CREATE UNIQUE INDEX models_name_unique ON models (provider_id, model_name)";

/// Locks out writers. A change of a model changes the circles that show it, by a trigger.
async fn hold_writers(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let locks = ["LOCK TABLE circles, agents, providers, models IN SHARE ROW EXCLUSIVE MODE"];
    ddl::run_on_postgres(manager, &locks).await
}

fn audit(now: &str) -> String {
    format!(
        "INSERT INTO audit_entries (at, action, resource, fields) \
         SELECT {now}, 'update', 'catalog', '[\"models\"]'"
    )
}

/// A table of the models whose name changes or that another row replaces.
fn list_renames(backend: DbBackend) -> String {
    let slash = match backend {
        DbBackend::Sqlite => "instr(m.model_name, '/')",
        _ => "strpos(m.model_name, '/')",
    };
    format!(
        "CREATE TABLE model_renames AS WITH \
         routed AS ( \
           SELECT m.id, m.provider_id, m.model_name, lower(p.name) AS provider, \
             lower(substr(m.model_name, 1, {slash} - 1)) AS route, substr(m.model_name, {slash} + 1) AS rest \
           FROM models m JOIN providers p ON p.id = m.provider_id WHERE {slash} > 1 \
         ), \
         imported AS ( \
           SELECT id, CASE \
               WHEN provider = 'bedrock' AND substr(rest, 1, 7) = 'invoke/' THEN substr(rest, 8) \
               WHEN provider = 'bedrock' AND substr(rest, 1, 9) = 'converse/' THEN substr(rest, 10) \
               WHEN provider = 'bedrock' AND substr(rest, 1, 16) = 'claude_platform/' THEN substr(rest, 17) \
               ELSE rest END AS new_name \
           FROM routed \
           WHERE (route = provider OR substr(provider, 1, length(route) + 1) = route || '-' \
               OR provider || '/' || route IN ('azure_text/azure', 'amazon_nova/amazon-nova')) \
             AND NOT EXISTS (SELECT 1 FROM audit_entries e \
               WHERE e.resource = 'model' AND e.resource_id = routed.id \
               AND (e.action = 'create' OR CAST(e.fields AS text) LIKE '%\"model_name\"%')) \
         ), \
         named AS ( \
           SELECT m.id, m.provider_id, m.model_name AS old_name, \
             coalesce(nullif(i.new_name, ''), m.model_name) AS new_name, \
             CASE WHEN EXISTS (SELECT 1 FROM agents a WHERE a.model_id = m.id) THEN 0 ELSE 1 END AS unused, \
             CASE WHEN EXISTS (SELECT 1 FROM audit_entries e \
               WHERE e.resource = 'model' AND e.resource_id = m.id) THEN 0 ELSE 1 END AS untouched \
           FROM models m LEFT JOIN imported i ON i.id = m.id \
         ), \
         ranked AS ( \
           SELECT id, old_name, new_name, first_value(id) OVER (PARTITION BY provider_id, new_name \
             ORDER BY unused, untouched, CASE old_name WHEN new_name THEN 0 ELSE 1 END, id) AS kept_id \
           FROM named \
         ) \
         SELECT id, old_name, new_name, kept_id FROM ranked WHERE new_name <> old_name OR id <> kept_id"
    )
}
