//! Faults: databases, disks, clients and processes that fail, stall or disappear while the service runs.
//! The usual run has few rounds; `FAULTS=full` runs them all and prints figures.

mod cancelled_begins;
mod changes;
mod client_connections;
mod client_resets;
mod connection_pool;
mod crashes;
mod database_restarts;
mod events;
mod expired_idempotency_keys;
mod failover;
mod http2;
mod instances;
mod key_guessing;
mod locks;
mod log_output;
mod member_addition;
mod membership_jobs;
mod memory;
mod overload;
mod poolers;
mod refused_sessions;
mod releases;
mod replicas;
mod restored_backups;
mod shutdown;
mod silent_database;
mod sqlite;
mod sqlite_file;
mod startup;
mod transaction_retries;
mod webhooks;
mod writers;
