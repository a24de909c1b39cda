//! Replicas: hot standbys of the primary, to which reads may go.
//!
//! A monitor asks each how far it has replayed the primary's log. One that lags too far, does not answer or is no standby
//! gets no reads until it is found fit again. `replica.rs` is one replica, `samples.rs` says by how much it lags.

mod replica;
mod samples;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use migration::database::connection::TargetError;
use prometheus::{GaugeVec, IntCounterVec, Opts, core::Collector, proto::MetricFamily};
use tokio_util::task::AbortOnDropHandle;

pub(crate) use self::replica::{Replica, replica_target};
use self::samples::Samples;
use super::{Database, LogPosition, log_position::end_of_log};
use crate::config::ReplicaSettings;

/// How often replicas are asked how far they are.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// How long a replica may take to answer. One that is silent for longer is lost.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest lag that is measured, unless a longer one is allowed.
const LONGEST_LAG: Duration = Duration::from_hours(1);

/// The replicas of a database. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Replicas(Arc<ReplicasInner>);

#[derive(Debug)]
struct ReplicasInner {
    all: Arc<[Replica]>,
    /// The one whose turn it is.
    next: AtomicUsize,
    max_lag: Duration,
    reads: IntCounterVec,
    monitor: AbortOnDropHandle<()>,
}

/// Why the settings name no replicas.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    #[error(transparent)]
    Target(TargetError),
    #[error("{SETTING} needs PostgreSQL: a replica is a hot standby of the database's server")]
    NotPostgres,
    #[error(
        "{SETTING} names several servers, or asks for target_session_attrs; name one server in each URL"
    )]
    SeveralServers,
}

const SETTING: &str = "READ_DATABASE_URL (--read-database-url)";

/// Who answered a read, and why the primary did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadOutcome {
    Replica,
    /// No replica was fit.
    Unfit,
    /// No fit replica had what the client has written.
    Behind,
    /// Only the primary can answer, or the client asked for it.
    Primary,
    /// The replica had no answer.
    Failed,
}

impl ReadOutcome {
    const ALL: [Self; 5] = [
        Self::Replica,
        Self::Unfit,
        Self::Behind,
        Self::Primary,
        Self::Failed,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Replica => "replica",
            Self::Unfit => "unfit",
            Self::Behind => "behind",
            Self::Primary => "primary",
            Self::Failed => "failed",
        }
    }
}

impl Replicas {
    /// Opens pools to the replicas that the settings name, and watches them; `None` if they name none. No connection is
    /// made yet.
    ///
    /// # Errors
    /// A URL that names no replica of this database.
    pub(crate) fn open(
        settings: &ReplicaSettings,
        database: &Database,
    ) -> Result<Option<Self>, ReplicaError> {
        let all = settings.urls().map(|url| Replica::open(url, database));
        let all: Arc<[Replica]> = all.collect::<Result<_, _>>()?;
        if all.is_empty() {
            return Ok(None);
        }
        let reads = Opts::new(
            "circle_registry_replica_reads_total",
            "Reads, by who answered them: a replica, or for which reason the primary.",
        );
        let reads = IntCounterVec::new(reads, &["outcome"]).expect("sound names");
        // All from the start: Prometheus would not see the step from nothing to one.
        for outcome in ReadOutcome::ALL {
            reads.with_label_values(&[outcome.as_str()]);
        }
        let max_lag = settings.replica_max_lag;
        let monitor = monitor(database.clone(), Arc::clone(&all), max_lag);
        Ok(Some(Self(Arc::new(ReplicasInner {
            all,
            next: AtomicUsize::default(),
            max_lag,
            reads,
            monitor: AbortOnDropHandle::new(tokio::spawn(monitor)),
        }))))
    }

    /// After how long every replica that is fit has what the primary had.
    pub(crate) fn longest_lag(&self) -> Duration {
        // One that was fit is so until the next check has failed.
        self.0.max_lag + CHECK_INTERVAL + 2 * CHECK_TIMEOUT
    }

    /// The replica that a read goes to, each in its turn: one that is fit, and has what the client has written.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn choose(
        &self,
        written: Option<LogPosition>,
    ) -> Result<&Replica, ReadOutcome> {
        let all = &self.0.all;
        let first = self.0.next.fetch_add(1, Ordering::Relaxed);
        let mut reason = ReadOutcome::Unfit;
        for turn in 0..all.len() {
            let replica = &all[first.wrapping_add(turn) % all.len()];
            if !replica.is_fit() {
                continue;
            }
            match written {
                Some(position) if !replica.has(position).await => reason = ReadOutcome::Behind,
                _ => return Ok(replica),
            }
        }
        Err(reason)
    }

    pub(crate) fn count_read(&self, outcome: ReadOutcome) {
        self.0.reads.with_label_values(&[outcome.as_str()]).inc();
    }

    /// What is measured of replicas.
    pub(crate) fn collect_metrics(&self) -> Vec<MetricFamily> {
        let of_replicas = |name: &str, help: &str, value: &dyn Fn(&Replica) -> Option<f64>| {
            let gauges = GaugeVec::new(Opts::new(name, help), &["replica"]);
            let gauges = gauges.expect("sound names");
            for replica in &*self.0.all {
                if let Some(value) = value(replica) {
                    gauges.with_label_values(&[replica.address()]).set(value);
                }
            }
            gauges.collect()
        };
        let fit = of_replicas(
            "circle_registry_replica_fit",
            "Whether the replica gets reads: it answers, is a standby, and does not lag too far.",
            &|replica| Some(f64::from(u8::from(replica.is_fit()))),
        );
        let lag = of_replicas(
            "circle_registry_replica_lag_seconds",
            "By how much the replica lagged behind the primary at the last check, at most; absent if that is unknown.",
            &|replica| replica.lag().map(|lag| lag.as_secs_f64()),
        );
        [self.0.reads.collect(), fit, lag].concat()
    }

    /// Closes the pools of all replicas. Waits for connections in use, at most for `timeout`.
    pub(crate) async fn close(&self, timeout: Duration) {
        self.0.monitor.abort();
        let close = join_all(self.0.all.iter().map(Replica::close));
        if tokio::time::timeout(timeout, close).await.is_err() {
            tracing::warn!("the pools of replicas were not closed within their timeout");
        }
    }
}

/// Asks the primary where its log ends, and then each replica how far it has replayed it.
async fn monitor(database: Database, all: Arc<[Replica]>, max_lag: Duration) {
    let mut samples = Samples::default();
    loop {
        let asked_at = Instant::now();
        let probe = database.probe().unwrap_or(database.connection());
        if let Some(Ok(end)) = database.within(CHECK_TIMEOUT, end_of_log(probe)).await {
            samples.add(asked_at, end);
        }
        join_all(all.iter().map(|replica| replica.check(&samples, max_lag))).await;
        samples.forget(max_lag.max(LONGEST_LAG));
        tokio::time::sleep(CHECK_INTERVAL).await;
    }
}
