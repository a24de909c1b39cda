//! The tables of circle-registry as SeaORM entities, with their relations.
//!
//! ```text
//! provider 1 ── n model 1 ── n agent 1 ── n member n ── 1 circle
//!                                1                        1
//!                                └─ n participant         └─ n conversation
//!                                           n ── 1 conversation 1 ── n message
//! ```
//!
//! A provider serves models, an agent runs on at most one model, and a member is one agent's
//! membership in one circle. An agent has tools of MCP servers and fallback models: `agent_server` and
//! `agent_fallback` link them. Each change of an agent's definition leaves an `agent_version`. Apart from these there are API keys, audit entries, idempotency keys, membership
//! jobs, the revision of the catalogue, and webhooks with how far their delivery is (`webhook_delivery`) and their last attempts (`webhook_attempt`).
//!
//! Code always writes an entity with its module (`model::Entity`), because the domain's word "model" and
//! SeaORM's `Model` would otherwise be hard to tell apart.
//!
//! The crate imports nothing of the service. `free_json`, `label_name`, `params`, `price`, `prices`, `tool`, `values`,
//! `variables` and `webhook_values` hold column types that the API shows too, so they carry their OpenAPI schemas. Start with [`circle`] and [`member`].

pub mod agent;
pub mod agent_fallback;
pub mod agent_server;
pub mod agent_version;
pub mod api_key;
pub mod audit_entry;
pub mod catalog_revision;
pub mod circle;
pub mod circle_label;
pub mod circle_label_move;
pub mod circle_release;
pub mod conversation;
pub mod document_owner;
pub mod free_json;
pub mod idempotency_key;
pub mod label_name;
pub mod mcp_server;
pub mod member;
pub mod membership_job;
pub mod message;
pub mod model;
pub mod params;
pub mod participant;
pub mod price;
pub mod prices;
pub mod provider;
pub mod revision;
pub mod tool;
pub mod values;
pub mod variables;
pub mod webhook;
pub mod webhook_attempt;
pub mod webhook_delivery;
pub mod webhook_values;
