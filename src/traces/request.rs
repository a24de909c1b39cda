//! The span of a request.

use std::net::IpAddr;

use hyper::{HeaderMap, Method, Version};
use opentelemetry::{
    Context, KeyValue,
    trace::{Span, SpanBuilder, SpanKind, TraceContextExt, TraceId, Tracer},
};
use opentelemetry_sdk::trace::Span as SdkSpan;

use super::{CANCELLED, Traces, active::ActiveTrace, fail, propagation};

const PANIC: &str = "panic";

/// What is known of a request before it is served.
#[derive(Debug)]
pub(crate) struct TracedRequest<'r> {
    pub(crate) headers: &'r HeaderMap,
    pub(crate) method: &'r Method,
    /// The template, and not the path, which has names in it.
    pub(crate) route: &'r str,
    pub(crate) scheme: &'r str,
    pub(crate) version: Version,
    pub(crate) client: Option<IpAddr>,
}

/// The span of a request that is served. Dropping it ends it, too.
#[derive(Debug)]
pub(crate) struct RequestSpan {
    span: SdkSpan,
    active: ActiveTrace,
    has_parent: bool,
}

impl Traces {
    /// Starts the span of a request, if there are traces. Whether it is sampled, its caller or the ratio decides.
    pub(crate) fn start_request(&self, request: &TracedRequest<'_>) -> Option<RequestSpan> {
        let tracer = self.tracer()?;
        let caller = propagation::extract(request.headers);
        let has_parent = caller.is_some();
        let context = caller.map_or_else(Context::new, |caller| {
            Context::new().with_remote_span_context(caller)
        });
        let builder = SpanBuilder::from_name("").with_kind(SpanKind::Server);
        let mut span = tracer.build_with_context(builder, &context);
        if span.is_recording() {
            span.update_name(format!("{} {}", request.method, request.route));
            span.set_attributes(attributes_of(request));
        }
        Some(RequestSpan {
            active: ActiveTrace::of(&span, tracer),
            span,
            has_parent,
        })
    }
}

fn attributes_of(request: &TracedRequest<'_>) -> impl Iterator<Item = KeyValue> {
    let version = match request.version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    };
    let client = request.client.map(|address| address.to_string());
    [
        Some(KeyValue::new(
            "http.request.method",
            request.method.to_string(),
        )),
        Some(KeyValue::new("http.route", request.route.to_owned())),
        Some(KeyValue::new("url.scheme", request.scheme.to_owned())),
        Some(KeyValue::new("network.protocol.version", version)),
        client.map(|client| KeyValue::new("client.address", client)),
    ]
    .into_iter()
    .flatten()
}

impl RequestSpan {
    /// The trace's id, if anybody knows it: the collector or the caller.
    pub(crate) fn trace_id(&self) -> Option<TraceId> {
        let is_known = self.has_parent || self.active.is_sampled;
        is_known.then(|| self.span.span_context().trace_id())
    }

    /// Runs the future that serves the request. Statements that it runs are children of this span.
    pub(crate) fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        self.active.clone().scope(future)
    }

    /// Ends the span of a request with this response. An error of the server has a code.
    pub(crate) fn finish(mut self, status: u16, code: Option<&str>) {
        if !self.span.is_recording() {
            return;
        }
        let attribute = KeyValue::new("http.response.status_code", i64::from(status));
        self.span.set_attribute(attribute);
        if status >= 500 {
            let error = code.map_or_else(|| status.to_string(), ToOwned::to_owned);
            fail(&mut self.span, error);
        }
        self.span.end();
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        // It still records if it was not finished.
        if self.span.is_recording() {
            let error = if std::thread::panicking() {
                PANIC
            } else {
                CANCELLED
            };
            fail(&mut self.span, error);
            self.span.end();
        }
    }
}
