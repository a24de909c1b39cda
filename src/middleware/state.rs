//! What all requests share: handlers and middleware read it from a request by its type.

use std::sync::Arc;

use poem::{Request, Response};

use super::{Middleware, Next};
use crate::{
    database::Database, http::BodyCache, keys::Keyring, lifecycle::Lifecycle,
    members::jobs::MembershipsAtOnce, memory::MemoryBudget, write::InFlight,
};

#[derive(Clone, Debug)]
pub(crate) struct AppState {
    pub(crate) keyring: Keyring,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) database: Database,
    pub(crate) memory: MemoryBudget,
    pub(crate) bodies: BodyCache,
    pub(crate) in_flight: InFlight,
    pub(crate) memberships_at_once: MembershipsAtOnce,
}

impl Middleware for AppState {
    fn call(
        &self,
        mut request: Request,
        next: &Arc<impl Next>,
    ) -> impl Future<Output = poem::Result<Response>> + Send {
        let Self {
            keyring,
            lifecycle,
            database,
            memory,
            bodies,
            in_flight,
            memberships_at_once,
        } = self;
        request.set_data(keyring.clone());
        request.set_data(lifecycle.clone());
        let memory = memory.of_request();
        request.set_data(database.for_request(memory.clone()));
        request.set_data(memory);
        request.set_data(bodies.clone());
        request.set_data(in_flight.clone());
        request.set_data(*memberships_at_once);
        next.call(request)
    }
}
