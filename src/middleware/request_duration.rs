//! How long each operation takes.

use std::sync::Arc;

use poem::{Request, Response};

use super::{ApiOperation, Middleware, Next};
use crate::{http::ProblemKind, metrics::RequestMetrics};

/// Measures requests to operations.
pub(crate) struct RequestDuration(pub(crate) RequestMetrics);

impl Middleware for RequestDuration {
    async fn call(&self, request: Box<Request>, next: &Arc<impl Next>) -> poem::Result<Response> {
        let operation = Arc::clone(ApiOperation::of(&request)?);
        let method = request.method().clone();
        let timer = self.0.start(&method, &operation.route);
        let result = next.call(request).await;
        timer.finish(match &result {
            Ok(response) => response.status(),
            Err(error) => ProblemKind::from(error).status,
        });
        result
    }
}
