//! Spans that have ended and wait for their export.

use std::{
    collections::VecDeque,
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
    waiting: Mutex<VecDeque<SpanData>>,
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

    fn waiting(&self) -> MutexGuard<'_, VecDeque<SpanData>> {
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
        let spans = waiting.len().min(MAX_BATCH);
        waiting.drain(..spans).collect()
    }

    /// What ends after this is not exported.
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
        if self.is_closed() {
            return;
        }
        let mut waiting = self.waiting();
        if waiting.len() >= MAX_WAITING {
            drop(waiting);
            self.count_dropped();
            return;
        }
        waiting.push_back(span);
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

#[cfg(test)]
mod tests {
    use std::mem;

    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    /// Ends so many spans, and returns how many were dropped.
    fn dropped(queue: &SpanQueue, spans: usize) -> u64 {
        let provider = SdkTracerProvider::builder().with_span_processor(queue.clone());
        let provider = provider.build();
        let tracer = provider.tracer("test");
        for _ in 0..spans {
            tracer.start("a span");
        }
        let families = queue.0.metrics.collect();
        let dropped = families[0].get_metric().iter().find(|metric| {
            let label = metric.get_label().first();
            label.is_some_and(|label| label.value() == "dropped")
        });
        let dropped = dropped.map(|metric| metric.get_counter().get_value().to_string());
        // The SDK closes the queue when the provider is dropped.
        mem::forget(provider);
        dropped.expect("a counter").parse().expect("a number")
    }

    #[tokio::test]
    async fn what_a_full_queue_has_no_room_for_is_dropped_and_counted() {
        let queue = SpanQueue::new(SpanMetrics::default());
        assert_eq!(dropped(&queue, MAX_WAITING), 0);
        assert_eq!(dropped(&queue, 3), 3);
        // It does not wait while a batch is full.
        queue.wait(Duration::from_hours(1)).await;
        assert_eq!(queue.take().len(), MAX_BATCH);
        assert_eq!(dropped(&queue, MAX_BATCH + 1), 4);
        queue.close();
        let mut rest = 0;
        while let batch @ 1.. = queue.take().len() {
            rest += batch;
        }
        assert_eq!(rest, MAX_WAITING);
        // After its end it takes nothing, and who would read the counter?
        assert_eq!(dropped(&queue, 1), 4);
        assert!(queue.take().is_empty());
    }

    #[tokio::test]
    async fn a_full_batch_and_the_end_are_not_waited_for() {
        let queue = SpanQueue::new(SpanMetrics::default());
        let wait = tokio::spawn({
            let queue = queue.clone();
            async move { queue.wait(Duration::from_hours(1)).await }
        });
        dropped(&queue, MAX_BATCH);
        wait.await.expect("it ends");
        queue.take();
        let wait = tokio::spawn({
            let queue = queue.clone();
            async move { queue.wait(Duration::from_hours(1)).await }
        });
        queue.close();
        wait.await.expect("it ends");
    }
}
