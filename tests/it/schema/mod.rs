//! The schema: how a database gets to it, what it refuses, and how statements use its indexes.

mod concurrent_migrators;
mod constraints;
mod conversations;
mod fan_out;
mod first_versions;
mod foreign_databases;
mod imported_models;
mod indexes;
mod json_columns;
mod label_circle_names;
mod locales;
mod long_trails;
mod migrations;
mod releases;

mod roster_revisions;

use entity::{
    agent, agent_fallback, agent_server, agent_version, api_key, audit_entry, circle, circle_label,
    circle_label_move, circle_release, conversation, document_owner, mcp_server, member, message,
    model, participant, provider, webhook, webhook_attempt, webhook_delivery,
};
use migration::runner;
use sea_orm::{ConnectionTrait, DatabaseConnection, EntityTrait, Statement};

use test_support::{Backend, TestDatabase, connect_to};

/// One row in every table.
async fn insert_rows(db: &DatabaseConnection) {
    insert_early_rows(db).await;
    let later = [
        "INSERT INTO mcp_servers (name, url, created_at, updated_at) VALUES ('s', 'https://s', $now, $now)",
        "INSERT INTO agent_mcp_servers (agent_id, mcp_server_id) SELECT a.id, s.id FROM agents a, mcp_servers s",
        "INSERT INTO agent_fallback_models (agent_id, model_id) SELECT a.id, m.id FROM agents a, models m",
        "INSERT INTO agent_versions (agent_id, number, definition, digest, created_at) SELECT id, 1, '{}', 'x', $now FROM agents",
        "INSERT INTO circle_releases (circle_id, number, digest, created_at, handles, team) SELECT id, 1, 'd', $now, '', '' FROM circles",
        "INSERT INTO circle_labels (circle_id, name, release, digest, created_at, updated_at) SELECT id, 'production', 1, 'd', $now, $now FROM circles",
        "INSERT INTO circle_label_moves (circle_id, label, revision, at) SELECT id, 'production', 1, $now FROM circles",
        "INSERT INTO document_owners (resource, resource_id, owner) SELECT 'circle', id, 'a' FROM circles",
        "INSERT INTO webhooks (name, url, secret, created_at, updated_at) VALUES ('w', 'https://w', 'whsec_', $now, $now)",
        "INSERT INTO webhook_deliveries (webhook_id, cursor) SELECT id, 'x' FROM webhooks",
        "INSERT INTO webhook_attempts (webhook_id, at, message_id, event, duration_ms) SELECT id, $now, 'x', 'x', 1 FROM webhooks",
    ];
    run(db, &later).await;
}

/// One row in every table that the schema had when tables got columns of text for free JSON.
async fn insert_early_rows(db: &DatabaseConnection) {
    const NOW: &str = "'2026-01-02T03:04:05+00:00'";
    for sql in [
        "INSERT INTO providers (name, api_type, created_at, updated_at) VALUES ('p', 'x', $now, $now)",
        "INSERT INTO models (provider_id, model_name, input_price, created_at, updated_at) \
         SELECT id, 'm', 5, $now, $now FROM providers",
        "INSERT INTO agents (name, model_id, created_at, updated_at) SELECT 'a', id, $now, $now FROM models",
        "INSERT INTO circles (name, created_at, updated_at) VALUES ('c', $now, $now)",
        "INSERT INTO members (circle_id, agent_id, joined_at) SELECT c.id, a.id, $now FROM circles c, agents a",
        "INSERT INTO conversations (topic, circle_id, created_at, updated_at) SELECT 't', id, $now, $now FROM circles",
        "INSERT INTO participants (conversation_id, agent_id, joined_at) \
         SELECT c.id, a.id, $now FROM conversations c, agents a",
        "INSERT INTO messages (conversation_id, number, author, agent_id, author_name, content, created_at) \
         SELECT conversation_id, 1, 'agent', agent_id, 'a', 'hello', $now FROM participants",
        "INSERT INTO api_keys (name, scopes, secret_hash, created_at) VALUES ('k', '[\"read\"]', 'x', $now)",
        "INSERT INTO audit_entries (at, action, resource, resource_id) SELECT $now, 'create', 'provider', id FROM providers",
    ] {
        db.execute_unprepared(&sql.replace("$now", NOW))
            .await
            .expect(sql);
    }
}

/// Counts the rows of every table by reading every column of every entity, so that a column that
/// the schema lacks is an error.
async fn read_rows(db: &DatabaseConnection) -> [usize; 21] {
    async fn count<E: EntityTrait>(db: &DatabaseConnection) -> usize {
        E::find().all(db).await.expect("rows").len()
    }
    [
        count::<provider::Entity>(db).await,
        count::<model::Entity>(db).await,
        count::<agent::Entity>(db).await,
        count::<mcp_server::Entity>(db).await,
        count::<agent_server::Entity>(db).await,
        count::<agent_fallback::Entity>(db).await,
        count::<agent_version::Entity>(db).await,
        count::<circle::Entity>(db).await,
        count::<circle_release::Entity>(db).await,
        count::<circle_label::Entity>(db).await,
        count::<circle_label_move::Entity>(db).await,
        count::<member::Entity>(db).await,
        count::<conversation::Entity>(db).await,
        count::<participant::Entity>(db).await,
        count::<message::Entity>(db).await,
        count::<api_key::Entity>(db).await,
        count::<audit_entry::Entity>(db).await,
        count::<document_owner::Entity>(db).await,
        count::<webhook::Entity>(db).await,
        count::<webhook_delivery::Entity>(db).await,
        count::<webhook_attempt::Entity>(db).await,
    ]
}

/// Runs the test on a database of the version before this migration.
async fn before(migration: &str, test: impl AsyncFn(&DatabaseConnection)) {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = TestDatabase::create_empty(backend).await;
        let db = connect_to(&database.url).await;
        let pending = runner::status(&db).await.expect("a status").pending;
        let earlier = pending.iter().position(|name| name == migration);
        let earlier = u32::try_from(earlier.expect("it is one of them")).expect("few");
        runner::up(&db, Some(earlier)).await.expect("up");
        test(&db).await;
        db.close().await.expect("closed");
        database.remove().await;
    }
}

async fn run(db: &DatabaseConnection, statements: &[&str]) {
    for sql in statements {
        db.execute_unprepared(&sql.replace("$now", "'2026-01-02T03:04:05+00:00'"))
            .await
            .expect(sql);
    }
}

/// The texts that a query selects, sorted.
async fn texts(db: &DatabaseConnection, sql: &str) -> Vec<String> {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let rows = db.query_all_raw(statement).await.expect(sql);
    let texts = rows.iter().map(|row| row.try_get_by_index(0));
    let mut texts: Vec<String> = texts.collect::<Result<_, _>>().expect("texts");
    texts.sort();
    texts
}
