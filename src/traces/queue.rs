//! Spans that have ended and wait for their export.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use opentelemetry::Context;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use tokio::{sync::Notify, time::timeout};
use tokio_util::sync::CancellationToken;

use super::metrics::{SpanMetrics, SpanOutcome};

/// The most spans that wait, some megabytes.
const MAX_WAITING: usize = 8192;
/// The most spans in a batch.
pub(super) const MAX_BATCH: usize = 512;

/// A queue that is never waited for: what it has no room for is dropped and counted. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct SpanQueue(Arc<QueueInner>);

#[derive(Debug)]
struct QueueInner {
    waiting: Mutex<Vec<SpanData>>,
    /// A batch is full.
    full: Notify,
    closed: CancellationToken,
    metrics: SpanMetrics,
    has_dropped: AtomicBool,
}

impl SpanQueue {
    pub(super) fn new(metrics: SpanMetrics) -> Self {
        Self(Arc::new(QueueInner {
            waiting: Mutex::default(),
            full: Notify::new(),
            closed: CancellationToken::new(),
            metrics,
            has_dropped: AtomicBool::default(),
        }))
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<SpanData>> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a batch is full, the time is over, or the queue is closed. So the task of the export is not woken
    /// for every span.
    pub(super) async fn wait(&self, limit: Duration) {
        if self.waiting().len() < MAX_BATCH {
            let full = timeout(limit, self.0.full.notified());
            tokio::select! {
                _ = full => {}
                () = self.0.closed.cancelled() => {}
            }
        }
    }

    /// The oldest spans, as many as a batch has.
    pub(super) fn take(&self) -> Vec<SpanData> {
        let mut waiting = self.waiting();
        if waiting.len() <= MAX_BATCH {
            return mem::take(&mut *waiting);
        }
        waiting.drain(..MAX_BATCH).collect()
    }

    /// What comes after this is dropped.
    pub(super) fn close(&self) {
        self.0.closed.cancel();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.closed.is_cancelled()
    }

    /// Resolves when the queue is closed.
    pub(super) async fn closed(&self) {
        self.0.closed.cancelled().await;
    }

    /// Logs the first of all spans that are dropped; the metric counts them.
    fn count_dropped(&self) {
        self.0.metrics.count(SpanOutcome::Dropped, 1);
        if !self.0.has_dropped.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "spans are dropped, because they end faster than the collector takes them; /metrics counts them"
            );
        }
    }
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let mut waiting = self.waiting();
        if waiting.len() >= MAX_WAITING || self.is_closed() {
            drop(waiting);
            self.count_dropped();
            return;
        }
        waiting.push(span);
        if waiting.len() == MAX_BATCH {
            self.0.full.notify_one();
        }
    }

    /// The task of the export does it.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.close();
        Ok(())
    }
}
