//! A write, once begun, runs to its end.
//!
//! A client that resets its connection makes the server drop the handler where it stands. In the
//! middle of `begin()` that leaves a pooled session inside a transaction nobody knows of, and later
//! writes through it are lost. So unsafe methods run in a task of their own, which nobody drops.

use std::sync::Arc;

use poem::{Endpoint, IntoResponse, Middleware, Request, Response};
use tracing::Instrument;

use crate::http::problem::{Rejection, panic_text};

pub(crate) struct Detach;

impl<E: Endpoint + 'static> Middleware<E> for Detach {
    type Output = DetachEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        DetachEndpoint(Arc::new(inner))
    }
}

pub(crate) struct DetachEndpoint<E>(Arc<E>);

impl<E: Endpoint + 'static> Endpoint for DetachEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        if request.method().is_safe() {
            return self.0.call(request).await.map(IntoResponse::into_response);
        }
        let inner = Arc::clone(&self.0);
        let task = async move { inner.call(request).await.map(IntoResponse::into_response) };
        match tokio::spawn(task.in_current_span()).await {
            Ok(answered) => answered,
            Err(lost) => {
                let reason = lost
                    .try_into_panic()
                    .map_or_else(|lost| lost.to_string(), |panic| panic_text(panic.as_ref()));
                Err(Rejection::Panicked(reason).into())
            }
        }
    }
}
