//! What all requests share: handlers and middleware ask a request for it by its type.

use poem::{Endpoint, Middleware, Request};

use crate::{auth::Keyring, circles::RosterCache, database::Database, lifecycle::Lifecycle};

/// All of it by one middleware: each adds its own copies of the request to the future of the answer.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) keyring: Keyring,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) database: Database,
    pub(crate) rosters: RosterCache,
}

impl<E: Endpoint> Middleware<E> for Shared {
    type Output = SharedEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        SharedEndpoint {
            inner,
            shared: self.clone(),
        }
    }
}

pub(crate) struct SharedEndpoint<E> {
    inner: E,
    shared: Shared,
}

impl<E: Endpoint> Endpoint for SharedEndpoint<E> {
    type Output = E::Output;

    async fn call(&self, mut request: Request) -> poem::Result<E::Output> {
        let Shared {
            keyring,
            lifecycle,
            database,
            rosters,
        } = &self.shared;
        request.set_data(keyring.clone());
        request.set_data(lifecycle.clone());
        request.set_data(database.clone());
        request.set_data(rosters.clone());
        self.inner.call(request).await
    }
}
