//! Requests at work: how many, how long, and that a write, once begun, runs to its end.
//!
//! A client that resets its connection makes the server drop the handler where it stands. In the
//! middle of a write nobody would know what was done. So what unsafe methods do goes on in a task of
//! its own when the client is gone, and when it is told that its time is up.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use poem::{Endpoint, IntoResponse, Middleware, Request, Response};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tracing::{Instrument, Span};

use crate::{database::Database, error::Error, http::RequestError};

/// How many times longer a write may go on than its client is made to wait. Only a database that
/// is silent for good lets it come to that.
const WRITE_GRACE: u32 = 4;

pub(crate) struct RunToCompletion {
    limit: Duration,
    places: Arc<Semaphore>,
}

impl RunToCompletion {
    /// At most so many requests, and a client waits for each at most so long.
    pub(crate) fn new(limit: Duration, places: usize) -> Self {
        Self {
            limit,
            places: Arc::new(Semaphore::new(places)),
        }
    }
}

impl<E: Endpoint + 'static> Middleware<E> for RunToCompletion {
    type Output = RunToCompletionEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        RunToCompletionEndpoint {
            inner: Arc::new(inner),
            limit: self.limit,
            places: Arc::clone(&self.places),
        }
    }
}

pub(crate) struct RunToCompletionEndpoint<E> {
    inner: Arc<E>,
    limit: Duration,
    places: Arc<Semaphore>,
}

impl<E: Endpoint + 'static> Endpoint for RunToCompletionEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let place = self.place(&request)?;
        let safe = request.method().is_safe();
        let limit = if safe {
            self.limit
        } else {
            WRITE_GRACE * self.limit
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
        let answered = timeout(self.limit, Uncancelled::new(work)).await;
        answered.unwrap_or_else(|_| Err(RequestError::TimedOut.into()))
    }
}

/// Work that is done to its end: by whoever waits for it or, once nobody does, by a task of its own.
/// (In a task from the start, most of it would be handed from one processor to another and back.)
struct Uncancelled<T: Send + 'static> {
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    span: Span,
}

impl<T: Send + 'static> Uncancelled<T> {
    fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self {
            work: Some(Box::pin(work)),
            span: Span::current(),
        }
    }
}

impl<T: Send + 'static> Future for Uncancelled<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Work that panics is not put back.
        let Some(mut work) = self.work.take() else {
            return Poll::Pending;
        };
        let done = work.as_mut().poll(context);
        if done.is_pending() {
            self.work = Some(work);
        }
        done
    }
}

impl<T: Send + 'static> Drop for Uncancelled<T> {
    fn drop(&mut self) {
        if let (Some(work), Ok(runtime)) = (self.work.take(), Handle::try_current()) {
            runtime.spawn(work.instrument(self.span.clone()));
        }
    }
}

impl<E> RunToCompletionEndpoint<E> {
    /// A request beyond what the database can serve in time is better told so at once. Probes and
    /// documents need no place.
    fn place(&self, request: &Request) -> Result<Option<OwnedSemaphorePermit>, Error> {
        let path = request.uri().path();
        if !path.starts_with("/v1/") || path == "/v1/pool" {
            return Ok(None);
        }
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => Ok(Some(place)),
            Err(_) => Err(Error::Overloaded),
        }
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
    if let Ok(answered) = timeout(limit, work.as_mut()).await {
        return answered.map(IntoResponse::into_response);
    }
    if let Some(database) = database {
        database.distrust_connections();
    }
    Err(RequestError::TimedOut.into())
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use futures_util::FutureExt;
    use tokio::{sync::oneshot, task::yield_now};

    use super::*;

    #[tokio::test]
    async fn work_that_nobody_waits_for_any_more_is_done_to_its_end() {
        let (go_on, told) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel();
        let mut work = Uncancelled::new(async move {
            let told = told.await;
            done.send(told.is_ok()).expect("somebody looks");
        });
        assert!((&mut work).now_or_never().is_none());
        drop(work);
        go_on.send(()).expect("it still waits");
        assert_eq!(is_done.await, Ok(true));
    }

    #[tokio::test]
    async fn work_that_is_done_or_has_panicked_is_not_begun_again() {
        assert_eq!(Uncancelled::new(async { 1 }).await, 1);
        let (alive, is_gone) = oneshot::channel::<()>();
        let work = Uncancelled::new(async move {
            let _alive = alive;
            yield_now().await;
            panic!("in the middle");
        });
        let panicked = AssertUnwindSafe(work).catch_unwind().await;
        let _: Box<_> = panicked.expect_err("a panic");
        assert!(is_gone.await.is_err(), "nothing of it is left");
    }
}
