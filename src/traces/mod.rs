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
use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_sdk::{
    Resource,
    resource::TelemetryResourceDetector,
    trace::{Sampler, SdkTracer, SdkTracerProvider},
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

/// What the spans come from: this instance of this service.
fn resource(settings: &TraceSettings) -> Resource {
    let default = |name: &'static str, value: String| {
        let is_given = settings.attributes().any(|(given, _)| given == name);
        (!is_given).then(|| KeyValue::new(name, value))
    };
    let name = settings.service_name.clone();
    let name = match name {
        Some(name) => Some(KeyValue::new("service.name", name)),
        None => default("service.name", env!("CARGO_PKG_NAME").to_owned()),
    };
    let given = settings.attributes();
    let given =
        given.filter(|(given, _)| settings.service_name.is_none() || given != "service.name");
    let given = given.map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let instance = uuid::Uuid::now_v7().to_string();
    let own = [
        name,
        default("service.version", version),
        default("service.instance.id", instance),
    ];
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(own.into_iter().flatten())
        .with_attributes(given)
        .build()
}
