//! Webhooks: the feed of changes, sent to receivers by HTTP, signed by the Standard Webhooks specification.
//!
//! `queries.rs` reads and writes the resource. One task of an instance, in `deliverer.rs`, takes the webhooks that no other
//! instance delivers, by leases in the database (`leases.rs`), and starts a task for each: `delivery_task.rs` reads the feed
//! from the webhook's cursor, sends one change after the other (`sender.rs`) and records how far it is (`progress.rs`).
//! Nothing is buffered but the page that is being sent.

mod api;
mod deliverer;
mod delivery_state;
mod delivery_task;
mod dto;
mod leases;
mod message;
mod metrics;
mod progress;
mod queries;
mod retry;
mod sender;
mod signature;

pub(crate) use api::WebhooksApi;
pub(crate) use deliverer::Webhooks;
pub(crate) use metrics::WebhookMetrics;
