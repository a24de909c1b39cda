//! What the pool counts.

use std::{fmt, sync::atomic::AtomicU64, time::Duration};

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts, core::Collector,
    proto::MetricFamily,
};
use sea_orm::Statement;

use crate::{telemetry, traces};

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

/// The bounds of `db.client.operation.duration`, in seconds, as OpenTelemetry's conventions advise.
const BOUNDS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Why something is tried again.
const CONNECTION_LOST: &str = "connection_lost";
pub(super) const CONTENDED: &str = "contended";

#[derive(Debug)]
pub(super) struct PoolCounters {
    system: &'static str,
    pub(super) timed_out: AtomicU64,
    durations: HistogramVec,
    /// Of statements that succeeded and failed: found once, not for each.
    of_outcome: [Histogram; 2],
    /// How long requests wait for a connection.
    pub(super) waits: Histogram,
    retries: IntCounterVec,
}

impl PoolCounters {
    pub(super) fn new(backend: &'static str) -> Self {
        let options = |name: &str, help: &str| {
            let options = HistogramOpts::new(name, help).buckets(BOUNDS.to_vec());
            options.const_label("db_system_name", backend)
        };
        let durations = options(
            "db_client_operation_duration_seconds",
            "Duration of statements; those that failed have an `error_type`.",
        );
        let waits = options(
            "db_client_connection_wait_time_seconds",
            "How long statements and transactions waited for a connection.",
        );
        let retries = Opts::new(
            "circle_registry_retries_total",
            "Reads that were repeated because their connection was dead, and changes because a concurrent one aborted them.",
        );
        let retries = IntCounterVec::new(retries, &["reason"]).expect("sound names");
        // Both from the start: Prometheus would not see the step from nothing to one.
        for reason in [CONNECTION_LOST, CONTENDED] {
            retries.with_label_values(&[reason]);
        }
        let durations = HistogramVec::new(durations, &["error_type"]).expect("sound names");
        Self {
            system: backend,
            timed_out: AtomicU64::default(),
            of_outcome: ["", "_OTHER"].map(|error| durations.with_label_values(&[error])),
            durations,
            waits: Histogram::with_opts(waits).expect("sound names"),
            retries,
        }
    }

    pub(super) fn collect(&self) -> Vec<MetricFamily> {
        let families = [
            self.durations.collect(),
            self.waits.collect(),
            self.retries.collect(),
        ];
        families.concat()
    }

    /// How many statements were sent.
    pub(super) fn statements(&self) -> u64 {
        let counts = self.of_outcome.iter().map(Histogram::get_sample_count);
        counts.sum()
    }

    pub(super) fn count_retry(&self, reason: &str) {
        self.retries.with_label_values(&[reason]).inc();
    }

    /// Counts and logs that something is tried again on another connection.
    pub(super) fn count_reconnection(&self, cause: &impl fmt::Display) {
        self.count_retry(CONNECTION_LOST);
        tracing::info!(%cause, "a database connection is of no use; retrying on another");
    }

    /// Measures a statement, logs it without its values, and adds it to the trace of its request.
    pub(super) fn record_statement(&self, statement: &Statement, elapsed: Duration, failed: bool) {
        self.of_outcome[usize::from(failed)].observe(elapsed.as_secs_f64());
        tracing::trace!(
            sql = statement.sql,
            elapsed_us = telemetry::micros(elapsed),
            failed,
            "statement"
        );
        traces::record_statement(self.system, &statement.sql, elapsed, failed);
    }

    /// Adds the start or the end of a transaction to the trace of its request.
    pub(super) fn trace_transaction(&self, command: &'static str, elapsed: Duration, failed: bool) {
        traces::record_statement(self.system, command, elapsed, failed);
    }
}
