//! What all requests share: handlers and middleware ask a request for it by its type.

use poem::{Endpoint, Middleware, Request};

use crate::{
    circles::RosterCache, database::Database, keys::Keyring, lifecycle::Lifecycle, write::InFlight,
};

/// All of it by one middleware: each adds its own copies of the request to the future of the answer.
#[derive(Clone, Debug)]
pub(crate) struct AppState {
    pub(crate) keyring: Keyring,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) database: Database,
    pub(crate) rosters: RosterCache,
    pub(crate) in_flight: InFlight,
}

impl<E: Endpoint> Middleware<E> for AppState {
    type Output = AppStateEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        AppStateEndpoint {
            inner,
            shared: self.clone(),
        }
    }
}

pub(crate) struct AppStateEndpoint<E> {
    inner: E,
    shared: AppState,
}

impl<E: Endpoint> Endpoint for AppStateEndpoint<E> {
    type Output = E::Output;

    async fn call(&self, mut request: Request) -> poem::Result<E::Output> {
        let AppState {
            keyring,
            lifecycle,
            database,
            rosters,
            in_flight,
        } = &self.shared;
        request.set_data(keyring.clone());
        request.set_data(lifecycle.clone());
        request.set_data(database.clone());
        request.set_data(rosters.clone());
        request.set_data(in_flight.clone());
        self.inner.call(request).await
    }
}
