//! circle-registry: who is in which circle of LLM agents, with which prompt, on which model.
//!
//! Read it in this order: the settings, the pool, the application that owns it, the errors and
//! pages that every resource shares, the HTTP layer, then one resource; the others look the same.

pub mod cli;
pub mod config;
pub mod database;
pub mod telemetry;

pub mod app;
pub mod lifecycle;
mod server;

pub mod auth;
mod caller;
pub mod error;
mod idempotency;
mod limits;
pub mod page;
mod patch;
mod revision;
mod rows;
mod search;
mod secrets;
pub mod sort;
mod write;

pub mod http;

pub(crate) mod agents;
pub(crate) mod audit;
pub(crate) mod circles;
pub(crate) mod conversations;
pub mod handles;
pub mod keys;
pub(crate) mod members;
pub(crate) mod messages;
pub(crate) mod models;
pub(crate) mod providers;

pub mod catalog;
pub mod doctor;
