//! The schema of circle-registry on SQLite and PostgreSQL, and what brings a database to it.
//!
//! - `m….rs`: the migrations, in order. They are append-only: a released migration is never edited, a
//!   change is a new file. `ddl` holds the column types and statements that they share.
//! - [`runner`]: applies and reverts migrations under a lock, so that several instances can start at once.
//!   `status` reads which are applied, and refuses another application's database.
//! - [`cli`] and `main.rs`: the commands of `circle-registry migrate` and `cargo run -p migration`.
//! - [`database`]: settings, connections and the pool's checks, which the server uses too. It knows
//!   nothing of the migrations.
//!
//! The crate imports no entities: a migration must mean the same in every later build. Start with
//! [`Migrator`] and the newest migration.

pub mod cli;
pub mod database;
mod ddl;
pub mod runner;
mod status;

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
mod m20261125_000001_name_models;
mod m20261125_000002_unmark_retired_models;
mod m20261126_000001_order_revisions_by_time;
mod m20261126_000002_prune_audit_additive;
mod m20261126_000010_fold_provider_names;
mod m20261126_000040_pass_turns_on;
mod m20261126_000041_add_authors;
mod m20261126_000042_keep_json_text;
mod m20261126_000043_add_catalog_name;
mod m20261126_000050_describe_agents_additive;
mod m20261126_000055_locate_audit_entries_additive;
mod m20261126_000056_index_audit_names_additive;
mod m20261126_000057_fold_model_routes_additive;
mod m20261126_000060_create_mcp_servers_additive;
mod m20261126_000061_create_agent_mcp_servers_additive;
mod m20261126_000062_create_agent_fallback_models_additive;
mod m20261126_000063_define_agents_additive;
mod m20261126_000065_end_memberships_later_additive;
mod m20261126_000070_add_model_facts_additive;
mod m20261126_000080_create_agent_versions_additive;
mod m20261126_000081_write_first_versions_additive;
mod m20261126_000090_create_circle_releases_additive;
mod m20261126_000091_create_circle_labels_additive;
mod m20261126_000092_create_circle_label_moves_additive;
mod m20261126_000093_protect_labels_additive;
mod m20261126_000100_order_changes_additive;
mod m20261126_000101_index_changes_additive;
mod m20261126_000130_create_document_owners_additive;
mod m20261126_000140_create_webhooks_additive;
mod m20261126_000141_create_webhook_attempts_additive;
mod m20261127_000001_add_circle_names_to_labels_additive;
mod m20261127_000002_fill_circle_names_of_labels_additive;
mod m20261127_000010_shorten_changes_of_agents_additive;

pub use database::{bounds, connection, settings};
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
            Box::new(m20261125_000001_name_models::Migration),
            Box::new(m20261125_000002_unmark_retired_models::Migration),
            Box::new(m20261126_000001_order_revisions_by_time::Migration),
            Box::new(m20261126_000002_prune_audit_additive::Migration),
            Box::new(m20261126_000010_fold_provider_names::Migration),
            Box::new(m20261126_000040_pass_turns_on::Migration),
            Box::new(m20261126_000041_add_authors::Migration),
            Box::new(m20261126_000042_keep_json_text::Migration),
            Box::new(m20261126_000043_add_catalog_name::Migration),
            Box::new(m20261126_000050_describe_agents_additive::Migration),
            Box::new(m20261126_000055_locate_audit_entries_additive::Migration),
            Box::new(m20261126_000056_index_audit_names_additive::Migration),
            Box::new(m20261126_000057_fold_model_routes_additive::Migration),
            Box::new(m20261126_000060_create_mcp_servers_additive::Migration),
            Box::new(m20261126_000061_create_agent_mcp_servers_additive::Migration),
            Box::new(m20261126_000062_create_agent_fallback_models_additive::Migration),
            Box::new(m20261126_000063_define_agents_additive::Migration),
            Box::new(m20261126_000065_end_memberships_later_additive::Migration),
            Box::new(m20261126_000070_add_model_facts_additive::Migration),
            Box::new(m20261126_000080_create_agent_versions_additive::Migration),
            Box::new(m20261126_000081_write_first_versions_additive::Migration),
            Box::new(m20261126_000090_create_circle_releases_additive::Migration),
            Box::new(m20261126_000091_create_circle_labels_additive::Migration),
            Box::new(m20261126_000092_create_circle_label_moves_additive::Migration),
            Box::new(m20261126_000093_protect_labels_additive::Migration),
            Box::new(m20261126_000100_order_changes_additive::Migration),
            Box::new(m20261126_000101_index_changes_additive::Migration),
            Box::new(m20261126_000130_create_document_owners_additive::Migration),
            Box::new(m20261126_000140_create_webhooks_additive::Migration),
            Box::new(m20261126_000141_create_webhook_attempts_additive::Migration),
            Box::new(m20261127_000001_add_circle_names_to_labels_additive::Migration),
            Box::new(m20261127_000002_fill_circle_names_of_labels_additive::Migration),
            Box::new(m20261127_000010_shorten_changes_of_agents_additive::Migration),
        ]
    }
}
