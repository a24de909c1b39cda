//! The shape of every middleware: one method, which answers a request itself or passes it on.
//!
//! poem's own `Middleware` takes a second type and two trait implementations for each.

use std::sync::Arc;

use poem::{Endpoint, Request, Response};

/// What a middleware passes requests on to.
pub(crate) trait Next: Endpoint<Output = Response> + 'static {}

impl<E: Endpoint<Output = Response> + 'static> Next for E {}

pub(crate) trait Middleware: Send + Sync {
    fn call(
        &self,
        request: Request,
        next: &Arc<impl Next>,
    ) -> impl Future<Output = poem::Result<Response>> + Send;
}

/// An endpoint inside a middleware.
pub(crate) struct Wrapped<M, E> {
    middleware: M,
    next: Arc<E>,
}

// Not `async`: that would add a copy of the request to the future of every middleware.
impl<M: Middleware, E: Next> Endpoint for Wrapped<M, E> {
    type Output = Response;

    fn call(&self, request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        self.middleware.call(request, &self.next)
    }
}

/// Puts an endpoint inside a middleware.
pub(crate) trait Wrap: Next + Sized {
    fn wrap<M: Middleware>(self, middleware: M) -> Wrapped<M, Self> {
        Wrapped {
            middleware,
            next: Arc::new(self),
        }
    }
}

impl<E: Next> Wrap for E {}
