//! The API, resource by resource and rule by rule, over HTTP. Every test runs on SQLite and on
//! PostgreSQL.

mod access;
mod agents;
mod audit;
mod bad_requests;
mod body_bounds;
mod browsers;
mod circles;
mod conditional_headers;
mod conversations;
mod documents;
mod etags;
mod external_ids;
mod handles;
mod idempotency;
mod keys;
mod lists;
mod members;
mod models;
mod no_change;
mod openapi;
mod providers;
mod rate_limits;
mod restore;
mod rosters;
mod secrets;
