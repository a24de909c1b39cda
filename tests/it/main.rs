//! One binary of tests. Every test of the API runs on SQLite and on PostgreSQL.

mod support;

mod access;
mod agents;
mod audit;
mod bad_requests;
mod bulk;
mod canary;
mod catalog;
mod circles;
mod clients;
mod command_line;
mod conditional;
mod contention;
mod conversations;
mod doctor;
mod exposure;
mod handles;
mod idempotency;
mod keys;
mod kills;
mod lifecycle;
mod logging;
mod members;
mod migrations;
mod migrators;
mod models;
mod openapi;
mod pages;
mod providers;
mod reading;
mod roster;
mod secrets;
mod sqlite;
mod starts;
mod stops;
