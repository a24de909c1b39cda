//! What is measured of traces.

use prometheus::{IntCounterVec, Opts, core::Collector, proto::MetricFamily};

/// What became of a span. The value of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpanOutcome {
    Exported,
    /// The queue was full.
    Dropped,
    /// The collector did not take it.
    Failed,
}

impl SpanOutcome {
    const ALL: [Self; 3] = [Self::Exported, Self::Dropped, Self::Failed];

    fn label(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
        }
    }
}

/// Clones share it.
#[derive(Clone, Debug)]
pub(super) struct SpanMetrics(IntCounterVec);

impl Default for SpanMetrics {
    fn default() -> Self {
        let spans = Opts::new(
            "circle_registry_trace_spans_total",
            "Spans that were exported, dropped because too many waited, or not taken by the collector.",
        );
        let spans = IntCounterVec::new(spans, &["outcome"]).expect("sound names");
        // Each from the start: Prometheus would not see the step from nothing to one.
        for outcome in SpanOutcome::ALL {
            spans.with_label_values(&[outcome.label()]);
        }
        Self(spans)
    }
}

impl SpanMetrics {
    pub(super) fn count(&self, outcome: SpanOutcome, spans: usize) {
        let counter = self.0.with_label_values(&[outcome.label()]);
        counter.inc_by(u64::try_from(spans).unwrap_or(u64::MAX));
    }

    pub(super) fn collect(&self) -> Vec<MetricFamily> {
        self.0.collect()
    }
}
