//! The one place where errors and panics become responses.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use poem::{Request, Response};

use super::{Middleware, Next};
use crate::{
    database::{Database, errors},
    error::Error,
    http::{ProblemKind, RequestError, RequestId},
    metrics::RequestMetrics,
};

/// Answers every error with a problem (RFC 9457).
pub(crate) struct ErrorResponses(pub(crate) RequestMetrics);

impl Middleware for ErrorResponses {
    async fn call(&self, request: Box<Request>, next: &Arc<impl Next>) -> poem::Result<Response> {
        let request_id = RequestId::of(&request);
        let database = request.data::<Database>().cloned();
        let result = AssertUnwindSafe(next.call(request))
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| Err(RequestError::Panicked(panic_text(panic.as_ref())).into()));
        result.or_else(|error| {
            let problem = ProblemKind::from(&error);
            self.0.count_problem(problem.code);
            report(&error, &problem, database.as_ref());
            Ok(problem.into_response(&request_id))
        })
    }
}

/// Logs the errors that are the server's, and counts pool timeouts.
fn report(error: &poem::Error, problem: &ProblemKind<'_>, database: Option<&Database>) {
    let error_kind = error.downcast_ref::<Error>();
    if problem.status.is_server_error() && !error_kind.is_some_and(Error::is_deliberate) {
        let database_code = error_kind
            .and_then(Error::database_error)
            .and_then(errors::reported_code);
        let database_code = database_code.as_deref();
        tracing::error!(cause = %error, code = problem.code, database_code, "request failed");
    }
    if let (Some(Error::PoolExhausted(_)), Some(database)) = (error_kind, database) {
        database.count_timeout();
    }
}

/// The message of a panic, for the log.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}
