//! One binary of tests. Every test of the API runs on SQLite and on PostgreSQL.

mod support;

mod agents;
mod bad_requests;
mod bulk;
mod catalog;
mod circles;
mod clients;
mod command_line;
mod conditional;
mod conversations;
mod handles;
mod idempotency;
mod kills;
mod lifecycle;
mod logging;
mod members;
mod migrations;
mod migrators;
mod models;
mod openapi;
mod pages;
mod plans;
mod providers;
mod reading;
mod roster;
mod sqlite;
mod starts;
