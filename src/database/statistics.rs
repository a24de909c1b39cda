//! What the pool counts.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use sea_orm::Statement;

use crate::telemetry;

/// The state of the pool at one moment, with its counts since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolStatistics {
    pub backend: &'static str,
    pub min: u32,
    pub max: u32,
    pub open: u32,
    pub idle: u32,
    pub in_use: u32,
    /// Requests that gave up waiting for a connection.
    pub timed_out: u64,
    /// Statements sent.
    pub statements: u64,
}

#[derive(Debug, Default)]
pub(super) struct PoolCounters {
    pub(super) statements: AtomicU64,
    pub(super) timed_out: AtomicU64,
}

impl PoolCounters {
    /// Counts a statement and traces it, without its values.
    pub(super) fn record_statement(&self, statement: &Statement, elapsed: Duration, failed: bool) {
        self.statements.fetch_add(1, Ordering::Relaxed);
        tracing::trace!(
            sql = statement.sql,
            elapsed_us = telemetry::micros(elapsed),
            failed,
            "statement"
        );
    }
}
