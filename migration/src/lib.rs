//! The schema of circle-registry, for SQLite and PostgreSQL alike, and all that is needed to bring
//! a database to it: the settings that name the database, the lock that lets several instances
//! start at once, and the runner behind `circle-registry migrate` and `cargo run -p migration`.
//!
//! Migrations are append-only: what has landed is never edited, a change is a new file.

pub mod cli;
pub mod connection;
mod ddl;
pub mod hooks;
pub mod runner;
pub mod settings;

mod m20261123_000001_create_providers;
mod m20261123_000002_create_models;
mod m20261123_000003_create_agents;
mod m20261123_000004_create_circles;
mod m20261123_000005_create_members;
mod m20261123_000006_index_text_search;
mod m20261123_000007_add_handle_settings;
mod m20261123_000008_create_conversations;
mod m20261123_000009_create_participants;
mod m20261123_000010_create_messages;
mod m20261123_000011_add_revisions;
mod m20261123_000012_index_sorts;
mod m20261123_000013_create_idempotency_keys;
mod m20261124_000001_create_api_keys;
mod m20261124_000002_create_audit_entries;
mod m20261124_000003_index_live_members;
mod m20261124_000004_touch_one_circle;
mod m20261124_000005_count_members;

use sea_orm_migration::{MigrationTrait, MigratorTrait, async_trait};

/// Every migration, oldest first.
#[derive(Clone, Copy, Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261123_000001_create_providers::Migration),
            Box::new(m20261123_000002_create_models::Migration),
            Box::new(m20261123_000003_create_agents::Migration),
            Box::new(m20261123_000004_create_circles::Migration),
            Box::new(m20261123_000005_create_members::Migration),
            Box::new(m20261123_000006_index_text_search::Migration),
            Box::new(m20261123_000007_add_handle_settings::Migration),
            Box::new(m20261123_000008_create_conversations::Migration),
            Box::new(m20261123_000009_create_participants::Migration),
            Box::new(m20261123_000010_create_messages::Migration),
            Box::new(m20261123_000011_add_revisions::Migration),
            Box::new(m20261123_000012_index_sorts::Migration),
            Box::new(m20261123_000013_create_idempotency_keys::Migration),
            Box::new(m20261124_000001_create_api_keys::Migration),
            Box::new(m20261124_000002_create_audit_entries::Migration),
            Box::new(m20261124_000003_index_live_members::Migration),
            Box::new(m20261124_000004_touch_one_circle::Migration),
            Box::new(m20261124_000005_count_members::Migration),
        ]
    }
}
