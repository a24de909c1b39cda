//! The shape of every middleware: one method, which answers a request itself or passes it on.

use std::sync::Arc;

use poem::{Endpoint, Request, Response};

/// What a middleware passes requests on to.
pub(crate) trait Next: Endpoint<Output = Response> + 'static {}

impl<E: Endpoint<Output = Response> + 'static> Next for E {}

/// A middleware.
pub(crate) trait Layer: Send + Sync {
    fn call(
        &self,
        request: Request,
        next: &Arc<impl Next>,
    ) -> impl Future<Output = poem::Result<Response>> + Send;
}

/// An endpoint inside a middleware.
pub(crate) struct Layered<L, E> {
    layer: L,
    next: Arc<E>,
}

// Not `async`: that would add a copy of the request to the future of every layer.
impl<L: Layer, E: Next> Endpoint for Layered<L, E> {
    type Output = Response;

    fn call(&self, request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        self.layer.call(request, &self.next)
    }
}

/// Puts an endpoint inside a middleware.
pub(crate) trait LayerExt: Next + Sized {
    fn layer<L: Layer>(self, layer: L) -> Layered<L, Self> {
        Layered {
            layer,
            next: Arc::new(self),
        }
    }
}

impl<E: Next> LayerExt for E {}
