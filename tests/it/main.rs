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
mod freezes;
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
mod overload;
mod pages;
mod providers;
mod reading;
mod resets;
mod restarts;
mod roster;
mod sqlite;
mod starts;
