//! The task that exports spans.

use std::time::Duration;

use hyper::body::Bytes;
use opentelemetry_proto::{
    tonic::collector::trace::v1::ExportTraceServiceRequest,
    transform::{
        common::tonic::ResourceAttributesWithSchema,
        trace::tonic::group_spans_by_resource_and_scope,
    },
};
use opentelemetry_sdk::{Resource, trace::SpanData};
use prost::Message;
use tokio::time::sleep;

use super::{
    collector::{Collector, ExportError, Taken},
    metrics::{SpanMetrics, SpanOutcome},
    queue::SpanQueue,
};

/// How long a span waits for others at most.
const INTERVAL: Duration = Duration::from_secs(1);
/// The pauses before a batch is sent again whose failure may pass. Meanwhile spans wait in the queue.
const RETRY_PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// Takes spans from the queue to the collector.
#[derive(Debug)]
pub(super) struct SpanExport {
    queue: SpanQueue,
    collector: Collector,
    resource: ResourceAttributesWithSchema,
    metrics: SpanMetrics,
    /// Whether the last batch was not taken.
    is_failing: bool,
    has_rejected: bool,
}

impl SpanExport {
    pub(super) fn new(
        queue: SpanQueue,
        collector: Collector,
        resource: &Resource,
        metrics: SpanMetrics,
    ) -> Self {
        Self {
            queue,
            collector,
            resource: resource.into(),
            metrics,
            is_failing: false,
            has_rejected: false,
        }
    }

    /// Exports until the queue is closed and empty.
    pub(super) async fn run(mut self) {
        loop {
            self.queue.wait(INTERVAL).await;
            let is_last = self.queue.is_closed();
            let batch = self.queue.take();
            if !batch.is_empty() {
                self.export(batch).await;
            } else if is_last {
                return;
            }
        }
    }

    async fn export(&mut self, batch: Vec<SpanData>) {
        let spans = batch.len();
        let request = ExportTraceServiceRequest {
            resource_spans: group_spans_by_resource_and_scope(batch, &self.resource),
        };
        match self.deliver(request.encode_to_vec().into()).await {
            Ok(taken) => self.note_success(spans, &taken),
            Err(error) => {
                self.metrics.count(SpanOutcome::Failed, spans);
                self.note_failure(&error);
                // While it fails, not all that waits is sent at once to fail as well.
                self.pause(INTERVAL).await;
            }
        }
    }

    /// Sends a batch, again if its failure may pass. While the collector is down, once is enough.
    async fn deliver(&self, body: Bytes) -> Result<Taken, ExportError> {
        for pause in RETRY_PAUSES {
            match self.collector.send(body.clone()).await {
                Err(error) if error.may_pass() && !self.is_failing && !self.queue.is_closed() => {
                    self.pause(pause).await;
                }
                outcome => return outcome,
            }
        }
        self.collector.send(body).await
    }

    async fn pause(&self, time: Duration) {
        tokio::select! {
            () = sleep(time) => {}
            () = self.queue.closed() => {}
        }
    }

    fn note_success(&mut self, spans: usize, taken: &Taken) {
        let rejected = taken.rejected.min(spans);
        self.metrics.count(SpanOutcome::Exported, spans - rejected);
        self.metrics.count(SpanOutcome::Failed, rejected);
        if rejected > 0 && !self.has_rejected {
            self.has_rejected = true;
            tracing::warn!(
                rejected,
                reason = taken.reason,
                "the collector rejects spans; /metrics counts them"
            );
        }
        if self.is_failing {
            self.is_failing = false;
            tracing::info!("the collector takes traces again");
        }
    }

    /// Logs the first of several failures.
    fn note_failure(&mut self, error: &ExportError) {
        if !self.is_failing {
            self.is_failing = true;
            tracing::warn!(
                cause = %error,
                "traces can't be exported; their spans are dropped until the collector takes them, and /metrics counts them"
            );
        }
    }
}
