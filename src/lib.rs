//! circle-registry: who is in which circle of LLM agents, with which prompt, on which model.
//!
//! The modules are listed from the top down: each may use those below it and none above it, which
//! `tests/it/architecture.rs` holds. A newcomer starts with [`routes`], then reads one resource
//! (`providers` is the smallest), then `write` and `database`.

// The optimiser looks into the futures of all middleware at once, which are nested deeper than the default of 128.
#![recursion_limit = "256"]

// The program: the command line, and the application that owns the pool from start to shutdown.
pub mod app;
pub mod cli;
mod copy;
pub mod doctor;
pub mod prune;
mod server;

mod exposure;
mod systemd;

// HTTP: what is around the resources.
pub mod routes;

mod health;
mod middleware;
mod openapi;

// The resources, those that use others first.
mod as_code;
pub mod catalog;
pub(crate) mod documents;
mod exports;
mod formats;
pub mod handles;
pub(crate) mod releases;

pub(crate) mod agents;
pub(crate) mod conversations;
pub(crate) mod members;

mod webhooks;

mod changes;
pub(crate) mod circles;
pub(crate) mod models;

pub(crate) mod audit;
pub mod keys;
pub(crate) mod mcp_servers;
pub(crate) mod providers;
mod versions;

// The kit that every resource is made of.
pub mod http;

mod revision;
mod rows;
mod search;
mod sort;
mod watermark;
mod write;
mod yaml;

mod diff;
mod digest;
mod page;
mod secrets;

// The database, and what everything rests on.
pub mod config;
pub mod database;
pub mod error;
pub mod lifecycle;
mod memory;
mod metrics;
mod progress;
pub mod telemetry;

mod egress;
mod text;
mod traces;
