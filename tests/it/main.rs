//! One binary of tests. Every test of the API runs on SQLite and on PostgreSQL.

mod support;

mod agents;
mod audit;
mod bad_requests;
mod bulk;
mod catalog;
mod circles;
mod clients;
mod command_line;
mod conditional;
mod contention;
mod conversations;
mod handles;
mod idempotency;
mod lifecycle;
mod logging;
mod members;
mod migrations;
mod models;
mod openapi;
mod pages;
mod providers;
mod reading;
mod roster;
