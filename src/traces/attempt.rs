//! The span of a message that is sent to a webhook.

use hyper::HeaderMap;
use opentelemetry::{
    KeyValue,
    trace::{Span, SpanBuilder, SpanKind, Tracer},
};
use opentelemetry_sdk::trace::Span as SdkSpan;

use super::{CANCELLED, Traces, active::ActiveTrace, fail, propagation};

/// The span of an attempt to deliver. It names the webhook by its id: its name and URL are of users, and the URL may be a
/// secret. Dropping it ends it, too.
#[derive(Debug)]
pub(crate) struct AttemptSpan(Option<SdkSpan>);

impl Traces {
    /// Starts the span of an attempt: in the trace of the request that asks for it, or else in one of its own.
    pub(crate) fn start_attempt(&self, webhook: i64) -> AttemptSpan {
        AttemptSpan(self.tracer().map(|tracer| {
            let parent = ActiveTrace::with(|active| active.parent.clone());
            let builder = SpanBuilder::from_name("POST webhook").with_kind(SpanKind::Client);
            let mut span = tracer.build_with_context(builder, &parent.unwrap_or_default());
            span.set_attribute(KeyValue::new("http.request.method", "POST"));
            span.set_attribute(KeyValue::new("circle_registry.webhook.id", webhook));
            span
        }))
    }
}

impl AttemptSpan {
    /// Adds the trace to the header fields that the receiver gets.
    pub(crate) fn inject(&self, headers: &mut HeaderMap) {
        if let Some(span) = &self.0 {
            propagation::inject(span.span_context(), headers);
        }
    }

    /// Ends the span of an attempt that went so. Without a status, the error says why.
    pub(crate) fn finish(mut self, status: Option<u16>, error: Option<&'static str>) {
        let Some(span) = &mut self.0 else {
            return;
        };
        if let Some(status) = status {
            let attribute = KeyValue::new("http.response.status_code", i64::from(status));
            span.set_attribute(attribute);
        }
        if let Some(error) = error {
            fail(
                span,
                status.map_or_else(|| error.to_owned(), |status| status.to_string()),
            );
        }
        span.end();
    }
}

impl Drop for AttemptSpan {
    fn drop(&mut self) {
        if let Some(span) = self.0.as_mut().filter(|span| span.is_recording()) {
            fail(span, CANCELLED);
            span.end();
        }
    }
}
