//! What requests share: handlers and middleware read it from a request by its type.

use std::sync::Arc;

use poem::{Request, Response};

use super::{Middleware, Next};
use crate::{
    database::Database,
    http::BodyCache,
    keys::Keyring,
    lifecycle::Lifecycle,
    members::jobs::MembershipsAtOnce,
    memory::{MemoryBudget, RequestMemory},
    metrics::Metrics,
    write::InFlight,
};

/// What middleware needs too: the [`Database`] and the [`RequestMemory`] of each request.
#[derive(Clone, Debug)]
pub(crate) struct RequestDatabase {
    pub(crate) database: Database,
    pub(crate) memory: MemoryBudget,
}

impl Middleware for RequestDatabase {
    fn call(
        &self,
        mut request: Request,
        next: &Arc<impl Next>,
    ) -> impl Future<Output = poem::Result<Response>> + Send {
        let memory: RequestMemory = self.memory.of_request();
        request.set_data(self.database.for_request(memory.clone()));
        request.set_data(memory);
        next.call(request)
    }
}

/// What only handlers need. It is set inside of `RetryRead`, which copies all that is set outside of it.
#[derive(Clone, Debug)]
pub(crate) struct HandlerState {
    pub(crate) keyring: Keyring,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) bodies: BodyCache,
    pub(crate) in_flight: InFlight,
    pub(crate) memberships_at_once: MembershipsAtOnce,
    pub(crate) metrics: Metrics,
}

impl Middleware for HandlerState {
    fn call(
        &self,
        mut request: Request,
        next: &Arc<impl Next>,
    ) -> impl Future<Output = poem::Result<Response>> + Send {
        let Self {
            keyring,
            lifecycle,
            bodies,
            in_flight,
            memberships_at_once,
            metrics,
        } = self;
        request.set_data(keyring.clone());
        request.set_data(lifecycle.clone());
        request.set_data(bodies.clone());
        request.set_data(in_flight.clone());
        request.set_data(*memberships_at_once);
        request.set_data(metrics.clone());
        next.call(request)
    }
}
