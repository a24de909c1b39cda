//! The shape of every middleware: one method, which answers a request itself or passes it on.
//!
//! poem's own `Middleware` takes a second type and two trait implementations for each. It passes requests by value, so
//! that the future of each middleware has room for the request twice. Here requests are boxed: by value, the future of
//! all middlewares takes 20 KB, and copying it is half of the instructions of a cached roster.

use std::sync::Arc;

use poem::{Endpoint, Request, Response};

/// What a middleware passes requests on to.
pub(crate) trait Next: Send + Sync + 'static {
    fn call(&self, request: Box<Request>) -> impl Future<Output = poem::Result<Response>> + Send;
}

/// What the innermost middleware passes requests on to.
impl<E: Endpoint<Output = Response> + 'static> Next for E {
    async fn call(&self, request: Box<Request>) -> poem::Result<Response> {
        Endpoint::call(self, *request).await
    }
}

pub(crate) trait Middleware: Send + Sync + 'static {
    fn call(
        &self,
        request: Box<Request>,
        next: &Arc<impl Next>,
    ) -> impl Future<Output = poem::Result<Response>> + Send;
}

/// What comes next, inside a middleware.
pub(crate) struct Wrapped<M, N> {
    middleware: M,
    next: Arc<N>,
}

impl<M: Middleware, N: Next> Next for Wrapped<M, N> {
    fn call(&self, request: Box<Request>) -> impl Future<Output = poem::Result<Response>> + Send {
        self.middleware.call(request, &self.next)
    }
}

/// Puts what comes next inside a middleware.
pub(crate) trait Wrap: Next + Sized {
    fn wrap<M: Middleware>(self, middleware: M) -> Wrapped<M, Self> {
        Wrapped {
            middleware,
            next: Arc::new(self),
        }
    }
}

impl<N: Next> Wrap for N {}

/// The endpoint that passes requests to the outermost middleware.
pub(crate) struct Outermost<N>(pub(crate) N);

impl<N: Next> Endpoint for Outermost<N> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        self.0.call(Box::new(request)).await
    }
}
