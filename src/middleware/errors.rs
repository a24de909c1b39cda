//! The one place where an error becomes a response, and a panic too.

use std::{any::Any, panic::AssertUnwindSafe};

use futures_util::FutureExt;
use poem::{Endpoint, IntoResponse, Middleware, Request, Response};

use crate::{
    database::Database,
    error::Error,
    http::{ProblemKind, RequestError, RequestId},
};

/// Answers every error with a problem.
pub(crate) struct ErrorResponses;

impl<E: Endpoint> Middleware<E> for ErrorResponses {
    type Output = ErrorResponsesEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        ErrorResponsesEndpoint(inner)
    }
}

pub(crate) struct ErrorResponsesEndpoint<E>(E);

impl<E: Endpoint> Endpoint for ErrorResponsesEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let request_id = RequestId::of(&request);
        let database = request.data::<Database>().cloned();
        let answered = AssertUnwindSafe(self.0.call(request))
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| Err(RequestError::Panicked(panic_text(panic.as_ref())).into()));
        match answered {
            Ok(response) => Ok(response.into_response()),
            Err(error) => {
                let problem = ProblemKind::from(&error);
                report(&error, &problem, database.as_ref());
                Ok(problem.into_response(&request_id))
            }
        }
    }
}

/// Logs and counts what is the service's fault.
fn report(error: &poem::Error, problem: &ProblemKind<'_>, database: Option<&Database>) {
    let ours = error.downcast_ref::<Error>();
    if problem.status.is_server_error() && !ours.is_some_and(Error::is_deliberate) {
        tracing::error!(cause = %error, code = problem.code, "request failed");
    }
    if let (Some(Error::PoolExhausted(_)), Some(database)) = (ours, database) {
        database.count_timeout();
    }
}

/// The text of a panic, for the log.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}
