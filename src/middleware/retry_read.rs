//! A read that was given a dead connection to the database is done again, on a sound one: that a
//! connection died while it lay unused is nothing a client should hear of.

use poem::{Endpoint, IntoResponse, Middleware, Request, Response};

use crate::{database::Database, error::Error};

pub(crate) struct RetryRead;

impl<E: Endpoint> Middleware<E> for RetryRead {
    type Output = RetryReadEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        RetryReadEndpoint(inner)
    }
}

pub(crate) struct RetryReadEndpoint<E>(E);

impl<E: Endpoint> Endpoint for RetryReadEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let again = request.method().is_safe().then(|| copy(&request));
        let answered = self.0.call(request).await.map(IntoResponse::into_response);
        match (answered, again) {
            (Err(failed), Some(again)) if proved_dead(&failed, &again) => {
                tracing::info!(cause = %failed, "a connection was dead; reading again");
                self.0.call(again).await.map(IntoResponse::into_response)
            }
            (answered, _) => answered,
        }
    }
}

/// Whether a request failed because its connection to the database proved dead.
fn proved_dead(failed: &poem::Error, request: &Request) -> bool {
    match (failed.downcast_ref(), request.data::<Database>()) {
        (Some(Error::Unavailable(cause)), Some(database)) => database.proved_dead(cause),
        _ => false,
    }
}

/// The same request; those that only read have no body.
fn copy(request: &Request) -> Request {
    let mut copy = Request::builder()
        .method(request.method().clone())
        .uri(request.uri().clone())
        .version(request.version())
        .finish();
    copy.headers_mut().clone_from(request.headers());
    copy.extensions_mut().clone_from(request.extensions());
    copy
}
