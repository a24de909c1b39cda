//! The trace of the request that the current task serves.

use futures_util::future::Either;
use opentelemetry::{
    Context,
    trace::{Span, TraceContextExt},
};
use opentelemetry_sdk::trace::{SdkTracer, Span as SdkSpan};

tokio::task_local! {
    static ACTIVE: ActiveTrace;
}

/// What spans of the current task are children of.
#[derive(Clone, Debug)]
pub(super) struct ActiveTrace {
    pub(super) tracer: SdkTracer,
    pub(super) parent: Context,
    pub(super) is_sampled: bool,
}

impl ActiveTrace {
    /// For children of this span.
    pub(super) fn of(span: &SdkSpan, tracer: &SdkTracer) -> Self {
        let parent = span.span_context().clone();
        Self {
            tracer: tracer.clone(),
            is_sampled: parent.is_sampled(),
            // The SDK takes a context as remote if it says so itself, and this one does not.
            parent: Context::new().with_remote_span_context(parent),
        }
    }

    /// Runs a future in this trace.
    pub(super) fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        ACTIVE.scope(self, future)
    }

    /// Lets a function see the current trace, if there is one.
    pub(super) fn with<T>(see: impl FnOnce(&Self) -> T) -> Option<T> {
        ACTIVE.try_with(see).ok()
    }
}

/// Keeps a future in the current trace that is going to run in a task of its own.
pub(crate) fn in_active_trace<F: Future>(future: F) -> impl Future<Output = F::Output> {
    match ActiveTrace::with(Clone::clone) {
        Some(active) => Either::Left(active.scope(future)),
        None => Either::Right(future),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    fn current() -> Option<String> {
        ActiveTrace::with(|active| active.parent.span().span_context().trace_id().to_string())
    }

    #[tokio::test]
    async fn a_trace_goes_with_the_task_that_it_is_given_to() {
        let tracer = SdkTracerProvider::builder().build().tracer("test");
        let span = tracer.start("a span");
        let id = span.span_context().trace_id().to_string();
        let of_tasks = ActiveTrace::of(&span, &tracer).scope(async {
            let kept = tokio::spawn(in_active_trace(async { current() }));
            let lost = tokio::spawn(async { current() });
            (kept.await.expect("a trace"), lost.await.expect("no trace"))
        });
        assert_eq!(of_tasks.await, (Some(id), None));
        assert_eq!(in_active_trace(async { current() }).await, None);
    }
}
