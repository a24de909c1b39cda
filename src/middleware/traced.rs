//! The span of a request.

use std::sync::Arc;

use poem::{Request, Response};
use tracing::{Span, field};

use super::{ApiOperation, Middleware, Next};
use crate::{
    http::{ClientAddress, ProblemKind},
    traces::{RequestSpan, TracedRequest, Traces},
};

/// Traces requests to operations, but not to those that machines ask every few seconds: probes and statistics.
pub(crate) struct Traced(pub(crate) Traces);

impl Traced {
    fn start(&self, request: &Request) -> Option<RequestSpan> {
        let operation = ApiOperation::of(request).ok()?;
        if operation.is_always_served() {
            return None;
        }
        let client = request.data().map(|ClientAddress(address)| *address);
        let span = self.0.start_request(&TracedRequest {
            headers: request.headers(),
            method: request.method(),
            route: &operation.route,
            scheme: request.scheme().as_str(),
            version: request.version(),
            client,
        })?;
        if let Some(id) = span.trace_id() {
            Span::current().record("trace_id", field::display(id));
        }
        Some(span)
    }
}

impl Middleware for Traced {
    async fn call(&self, request: Box<Request>, next: &Arc<impl Next>) -> poem::Result<Response> {
        let Some(span) = self.start(&request) else {
            return next.call(request).await;
        };
        let result = span.scope(next.call(request)).await;
        match &result {
            Ok(response) => span.finish(response.status().as_u16(), None),
            Err(error) => {
                let problem = ProblemKind::from(error);
                span.finish(problem.status.as_u16(), Some(problem.code));
            }
        }
        result
    }
}
