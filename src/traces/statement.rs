//! The spans of statements.

use std::time::{Duration, SystemTime};

use opentelemetry::{
    KeyValue,
    trace::{Span, SpanBuilder, SpanKind, Tracer},
};

use super::{active::ActiveTrace, fail, query_summary::QuerySummary};

/// Adds the span of a statement that has just ended to the trace of the request that ran it, if that is sampled.
pub(crate) fn record_statement(system: &'static str, sql: &str, elapsed: Duration, failed: bool) {
    ActiveTrace::with(|active| {
        if active.is_sampled {
            active.record_statement(system, sql, elapsed, failed);
        }
    });
}

impl ActiveTrace {
    fn record_statement(&self, system: &'static str, sql: &str, elapsed: Duration, failed: bool) {
        let end = SystemTime::now();
        let QuerySummary { operation, text } = QuerySummary::of(sql);
        let builder = SpanBuilder::from_name(text.clone())
            .with_kind(SpanKind::Client)
            .with_start_time(end.checked_sub(elapsed).unwrap_or(end))
            .with_attributes([
                KeyValue::new("db.system.name", system),
                KeyValue::new("db.operation.name", operation),
                KeyValue::new("db.query.summary", text),
            ]);
        let mut span = self.tracer.build_with_context(builder, &self.parent);
        if failed {
            // The one value that the metric of statements has, too.
            fail(&mut span, "_OTHER");
        }
        span.end_with_timestamp(end);
    }
}
