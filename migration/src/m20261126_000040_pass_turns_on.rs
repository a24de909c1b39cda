//! Passes on the turns of deleted agents. Deleting an agent used to leave its turn with it, so that no
//! agent could speak in a round robin any more.
//!
//! In a round robin the next participant that is not deleted speaks; otherwise deleted agents leave the
//! list.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        let (speakers, id, first, to_json, list) = match backend {
            DbBackend::Sqlite => (
                "json_each(c.next_speakers) AS s",
                "s.value",
                "json_extract(c.next_speakers, '$[0]')",
                "text",
                "json_group_array(s.value ORDER BY s.key)",
            ),
            _ => (
                "jsonb_array_elements(c.next_speakers) WITH ORDINALITY AS s (value, key)",
                "s.value::bigint",
                "(c.next_speakers ->> 0)::bigint",
                "jsonb",
                "coalesce(jsonb_agg(s.value ORDER BY s.key), '[]')",
            ),
        };
        let now = ddl::now(backend);
        let speaks = "agents a ON a.id = p.agent_id AND a.is_active WHERE p.conversation_id = c.id";
        let sql = format!(
            "UPDATE conversations AS c SET revision = revision + 1, updated_at = {now}, \
             next_speakers = CASE c.turn_strategy \
               WHEN 'round_robin' THEN coalesce((\
                 SELECT CAST('[' || p.agent_id || ']' AS {to_json}) FROM participants p \
                 LEFT JOIN participants g ON g.conversation_id = p.conversation_id AND g.agent_id = {first} \
                 JOIN {speaks} ORDER BY coalesce(p.id < g.id, false), p.id LIMIT 1), '[]') \
               ELSE (SELECT {list} FROM {speakers} WHERE EXISTS (\
                 SELECT 1 FROM participants p JOIN {speaks} AND a.id = {id})) END \
             WHERE EXISTS (SELECT 1 FROM {speakers} WHERE NOT EXISTS (\
               SELECT 1 FROM participants p JOIN {speaks} AND a.id = {id}))"
        );
        ddl::run(manager, &[&sql]).await
    }

    /// A turn that was passed on stays there.
    async fn down(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Ok(())
    }
}
