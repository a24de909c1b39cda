//! The rows of circle-registry and how they hang together.
//!
//! ```text
//! provider 1 ── n model 1 ── n agent 1 ── n member n ── 1 circle
//!                                1                        1
//!                                └─ n participant         └─ n conversation
//!                                           n ── 1 conversation 1 ── n message
//! ```
//!
//! A provider serves models, an agent runs on at most one model, and a member is one agent's
//! place in one circle. The module name is always written (`model::Entity`), because the domain's
//! word "model" and SeaORM's `Model` would otherwise be hard to tell apart.

pub mod agent;
pub mod api_key;
pub mod audit_entry;
pub mod circle;
pub mod conversation;
pub mod idempotency_key;
pub mod member;
pub mod message;
pub mod model;
pub mod participant;
pub mod price;
pub mod provider;
pub mod values;
