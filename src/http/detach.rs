//! Requests at work: how many, how long, and that a write, once begun, runs to its end.
//!
//! A client that resets its connection makes the server drop the handler where it stands. In the
//! middle of a write nobody would know what was done. So unsafe methods run in a task of their own,
//! which goes on when the client is gone, and when it is told that its time is up.

use std::{pin::pin, sync::Arc, time::Duration};

use poem::{Endpoint, IntoResponse, Middleware, Request, Response};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tracing::Instrument;

use crate::{
    database::Database,
    error::Error,
    http::problem::{Rejection, panic_text},
};

/// How many times longer a write may go on than its client is made to wait. Only a database that
/// is silent for good lets it come to that.
const BEYOND: u32 = 4;

pub(crate) struct Detach {
    limit: Duration,
    places: Arc<Semaphore>,
}

impl Detach {
    /// At most so many requests, and a client waits for each at most so long.
    pub(crate) fn new(limit: Duration, places: usize) -> Self {
        Self {
            limit,
            places: Arc::new(Semaphore::new(places)),
        }
    }
}

impl<E: Endpoint + 'static> Middleware<E> for Detach {
    type Output = DetachEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        DetachEndpoint {
            inner: Arc::new(inner),
            limit: self.limit,
            places: Arc::clone(&self.places),
        }
    }
}

pub(crate) struct DetachEndpoint<E> {
    inner: Arc<E>,
    limit: Duration,
    places: Arc<Semaphore>,
}

impl<E: Endpoint + 'static> Endpoint for DetachEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let place = self.place(&request)?;
        let safe = request.method().is_safe();
        let limit = if safe {
            self.limit
        } else {
            BEYOND * self.limit
        };
        let inner = Arc::clone(&self.inner);
        let work = async move {
            let answered = finish_within(limit, &*inner, request).await;
            drop(place);
            answered
        };
        if safe {
            return work.await;
        }
        match timeout(self.limit, tokio::spawn(work.in_current_span())).await {
            Err(_) => Err(Rejection::TimedOut.into()),
            Ok(Ok(answered)) => answered,
            Ok(Err(lost)) => {
                let reason = lost
                    .try_into_panic()
                    .map_or_else(|lost| lost.to_string(), |panic| panic_text(panic.as_ref()));
                Err(Rejection::Panicked(reason).into())
            }
        }
    }
}

impl<E> DetachEndpoint<E> {
    /// A request beyond what the database can serve in time is better told so at once. Probes and
    /// documents need no place.
    fn place(&self, request: &Request) -> Result<Option<OwnedSemaphorePermit>, Error> {
        let path = request.uri().path();
        if !path.starts_with("/v1/") || path == "/v1/pool" {
            return Ok(None);
        }
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => Ok(Some(place)),
            Err(_) => Err(overloaded()),
        }
    }
}

/// The answer to a request for which there is no place.
pub(crate) fn overloaded() -> Error {
    Error::NotReady {
        code: "overloaded",
        detail: "There are more requests than can be served in time. Try again shortly.",
    }
}

/// Gives a request up when its time is over. Its session is left in the middle of something then,
/// which the pool has to know before it gets the session back.
async fn finish_within(
    limit: Duration,
    inner: &impl Endpoint,
    request: Request,
) -> poem::Result<Response> {
    let database = request.data::<Database>().cloned();
    let mut work = pin!(inner.call(request));
    match timeout(limit, work.as_mut()).await {
        Ok(answered) => answered.map(IntoResponse::into_response),
        Err(_) => {
            if let Some(database) = database {
                database.suspect();
            }
            Err(Rejection::TimedOut.into())
        }
    }
}
