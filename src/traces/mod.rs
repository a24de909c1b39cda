//! Traces: spans of requests, of their statements and of what is sent to webhooks, exported to an OpenTelemetry
//! collector by OTLP over HTTP. Attributes are named by OpenTelemetry's semantic conventions (1.37).
//!
//! A span has no value that a user made: no names, prompts, paths, queries, keys or bound values.
//!
//! Start with [`Traces`]. `request.rs`, `statement.rs` and `attempt.rs` are the three kinds of spans; `active.rs` carries
//! a request's trace to what runs far below, which is not handed it. Spans that end go into a queue (`queue.rs`), which
//! never waits, and a task exports them in batches (`export.rs`, `collector.rs`). Imports `config` and `egress`.

mod active;
mod attempt;
mod collector;
mod export;
mod metrics;
mod propagation;
mod query_summary;
mod queue;
mod request;
mod statement;

use std::{
    error::Error as StdError,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::{HeaderMap, body::Bytes};
use opentelemetry::{
    KeyValue, StringValue, Value,
    trace::{Span, Status, TracerProvider},
};
use opentelemetry_sdk::{
    Resource,
    resource::TelemetryResourceDetector,
    trace::{Sampler, SdkTracer, SdkTracerProvider, Span as SdkSpan},
};
use prometheus::proto::MetricFamily;
use tokio::{task::JoinHandle, time::timeout};
use url::Url;

use self::{collector::Collector, export::SpanExport, metrics::SpanMetrics, queue::SpanQueue};
use crate::config::TraceSettings;

pub(crate) use active::in_active_trace;
pub(crate) use request::{RequestSpan, TracedRequest};
pub(crate) use statement::record_statement;

/// How long the spans of the last requests may take at shutdown.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);
const MAX_ATTRIBUTES: u32 = 32;
/// How a span fails that is dropped: the client is gone, the time over, or the service stops before there is a response.
const CANCELLED: &str = "cancelled";
/// The port at which collectors take OTLP over gRPC.
const GRPC_PORT: u16 = 4317;

/// Whether there are traces, and what makes and exports them. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traces(Option<Arc<TracesInner>>);

#[derive(Debug)]
struct TracesInner {
    tracer: SdkTracer,
    queue: SpanQueue,
    metrics: SpanMetrics,
    export: Mutex<Option<JoinHandle<()>>>,
}

/// Why traces can't be exported.
#[derive(Debug, thiserror::Error)]
#[error("traces can't be exported to the collector: {0}")]
pub struct TraceError(#[from] io::Error);

impl Traces {
    /// Starts to export, if the settings say where to.
    ///
    /// # Errors
    /// A collector with TLS, and a system without certificates of authorities.
    pub(crate) fn start(settings: &TraceSettings) -> Result<Self, TraceError> {
        let Some(url) = settings.url() else {
            return Ok(Self::default());
        };
        let collector = Collector::new(&url, settings.headers())?;
        tracing::info!(
            collector = url.origin().ascii_serialization(),
            sample_ratio = settings.traces_sample_ratio,
            "traces are exported"
        );
        if url.port() == Some(GRPC_PORT) {
            tracing::warn!(
                "port {GRPC_PORT} is that of OTLP over gRPC; traces are sent by OTLP over HTTP, which is usually at port 4318"
            );
        }
        let metrics = SpanMetrics::default();
        let queue = SpanQueue::new(metrics.clone());
        let resource = resource(settings);
        let export = SpanExport::new(queue.clone(), collector, &resource, metrics.clone());
        let sampler = Sampler::TraceIdRatioBased(settings.traces_sample_ratio);
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(sampler)))
            .with_resource(resource)
            // More than a span has. The SDK's own default can be changed by a variable.
            .with_max_attributes_per_span(MAX_ATTRIBUTES)
            .with_span_processor(queue.clone())
            .build();
        Ok(Self(Some(Arc::new(TracesInner {
            tracer: provider.tracer(env!("CARGO_PKG_NAME")),
            queue,
            metrics,
            export: Mutex::new(Some(tokio::spawn(export.run()))),
        }))))
    }

    fn tracer(&self) -> Option<&SdkTracer> {
        self.0.as_deref().map(|inner| &inner.tracer)
    }

    pub(crate) fn collect_metrics(&self) -> Vec<MetricFamily> {
        let inner = self.0.as_deref();
        inner.map_or_else(Vec::new, |inner| inner.metrics.collect())
    }

    /// Exports what has ended. What the collector does not take in time is dropped.
    pub(crate) async fn close(&self) {
        let Some(inner) = self.0.as_deref() else {
            return;
        };
        inner.queue.close();
        let export = inner.export.lock();
        let Some(mut export) = export.unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        if timeout(FLUSH_TIMEOUT, &mut export).await.is_err() {
            export.abort();
            tracing::warn!(
                "the last spans are dropped, because the collector does not respond in time"
            );
        }
    }
}

impl Drop for TracesInner {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Sends a collector a batch without spans.
///
/// # Errors
/// Why it would not take spans, either.
pub(crate) async fn ask_collector(
    url: &Url,
    headers: HeaderMap,
) -> Result<(), Box<dyn StdError + Send + Sync>> {
    let collector = Collector::new(url, headers).map_err(TraceError)?;
    collector.send(Bytes::new()).await?;
    Ok(())
}

/// Says in a span that what it is of has failed, and how.
fn fail(span: &mut SdkSpan, error: impl Into<StringValue>) {
    let error = Value::String(error.into());
    span.set_attribute(KeyValue::new("error.type", error));
    span.set_status(Status::error(""));
}

/// What the spans come from: this instance of this service. Of an attribute that is there twice, the later one counts.
fn resource(settings: &TraceSettings) -> Resource {
    let given = settings.attributes();
    let given = given.map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    let name = settings.service_name.clone();
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes([
            KeyValue::new("service.name", env!("CARGO_PKG_NAME")),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", uuid::Uuid::now_v7().to_string()),
        ])
        .with_attributes(given)
        .with_attributes(name.map(|name| KeyValue::new("service.name", name)))
        .build()
}
