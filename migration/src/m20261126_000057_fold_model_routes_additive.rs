//! Names models as their providers' APIs name them where `m20261125_000001_name_models` did not: it compared
//! the names of providers with the routes of price lists by `lower()`. In a Turkish locale, `lower('MISTRAL')`
//! is not `mistral`, so that `mistral/large` of the provider `MISTRAL` kept the list's name.
//!
//! Only rows that the locale folds otherwise than the program are looked at. An import may have added such a
//! model again since, under its right name: as in that migration, one of the two stays, and the agents of the
//! other move to it. Reverting keeps the names.

use sea_orm_migration::prelude::*;

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite folds A to Z only, as the program does.
        ddl::run_on_postgres(
            manager,
            &[
                "LOCK TABLE circles, agents, providers, models IN SHARE ROW EXCLUSIVE MODE",
                LIST_RENAMES,
                &format!(
                    "UPDATE agents SET {STAMP}, \
                     model_id = (SELECT kept_id FROM model_renames r WHERE r.id = agents.model_id) \
                     WHERE model_id IN (SELECT id FROM model_renames WHERE id <> kept_id)"
                ),
                "DELETE FROM models WHERE id IN (SELECT id FROM model_renames WHERE id <> kept_id)",
                &format!(
                    "UPDATE models SET {STAMP}, model_name = r.new_name, \
                     catalog_key = CASE WHEN NOT EXISTS (SELECT 1 FROM models other \
                       WHERE other.provider_id = models.provider_id AND other.catalog_key = r.old_name) \
                       THEN r.old_name END \
                     FROM model_renames r WHERE r.id = models.id AND r.new_name <> r.old_name"
                ),
                "INSERT INTO audit_entries (at, action, resource, fields) \
                 SELECT now(), 'update', 'catalog', '[\"models\"]' \
                 WHERE EXISTS (SELECT 1 FROM model_renames)",
                "DROP TABLE model_renames",
            ],
        )
        .await
    }

    async fn down(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Ok(())
    }
}

const STAMP: &str = "updated_at = now(), revision = \
    greatest(CAST(extract(epoch FROM now()) * 1000000 AS bigint), revision + 1)";

/// A table of the models whose name changes or that another row replaces.
const LIST_RENAMES: &str = r#"CREATE TABLE model_renames AS WITH
    routed AS (
      SELECT m.id, m.model_name, p.name, split_part(m.model_name, '/', 1) AS listed,
        substr(m.model_name, strpos(m.model_name, '/') + 1) AS rest
      FROM models m JOIN providers p ON p.id = m.provider_id
      WHERE strpos(m.model_name, '/') > 1 AND m.catalog_key IS NULL
    ),
    folded AS (
      SELECT id, rest, lower(name COLLATE "C") AS provider, lower(listed COLLATE "C") AS route
      FROM routed
      WHERE lower(name) <> lower(name COLLATE "C") OR lower(listed) <> lower(listed COLLATE "C")
    ),
    imported AS (
      SELECT id, CASE
          WHEN provider = 'bedrock' AND starts_with(rest, 'invoke/') THEN substr(rest, 8)
          WHEN provider = 'bedrock' AND starts_with(rest, 'converse/') THEN substr(rest, 10)
          WHEN provider = 'bedrock' AND starts_with(rest, 'claude_platform/') THEN substr(rest, 17)
          ELSE rest END AS new_name
      FROM folded
      WHERE (route = provider OR starts_with(provider, route || '-')
          OR provider || '/' || route IN ('azure_text/azure', 'amazon_nova/amazon-nova'))
        AND NOT EXISTS (SELECT 1 FROM audit_entries e
          WHERE e.resource = 'model' AND e.resource_id = folded.id
          AND (e.action = 'create' OR CAST(e.fields AS text) LIKE '%"model_name"%'))
    ),
    named AS (
      SELECT m.id, m.provider_id, m.model_name AS old_name,
        coalesce(nullif(i.new_name, ''), m.model_name) AS new_name,
        EXISTS (SELECT 1 FROM agents a WHERE a.model_id = m.id) AS used,
        EXISTS (SELECT 1 FROM audit_entries e WHERE e.resource = 'model' AND e.resource_id = m.id) AS touched
      FROM models m LEFT JOIN imported i ON i.id = m.id
    ),
    ranked AS (
      SELECT id, old_name, new_name, first_value(id) OVER (PARTITION BY provider_id, new_name
        ORDER BY used DESC, touched DESC, old_name = new_name DESC, id) AS kept_id
      FROM named
    )
    SELECT id, old_name, new_name, kept_id FROM ranked WHERE new_name <> old_name OR id <> kept_id"#;
