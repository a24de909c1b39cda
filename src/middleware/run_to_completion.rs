//! How many requests run at once, for how long, and that a write runs to completion.
//!
//! A client that resets its connection makes the server drop the handler's future. In the middle of a
//! write that would leave its outcome unknown. So the write continues in a task of its own, both if
//! the client disconnects and if its timeout expires.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use poem::{Request, Response};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tracing::{Instrument, Span};

use super::{ApiOperation, Middleware, Next, timeout::with_timeout};
use crate::{database::Database, error::Error, http::RequestError, traces::in_active_trace};

/// How many times the request timeout a write may take before it is dropped. Only a database that
/// has stopped responding makes it take that long.
const WRITE_GRACE: u32 = 4;

pub(crate) struct RunToCompletion {
    request_timeout: Duration,
    permits: Arc<Semaphore>,
}

impl RunToCompletion {
    pub(crate) fn new(request_timeout: Duration, max_requests: usize) -> Self {
        Self {
            request_timeout,
            permits: Arc::new(Semaphore::new(max_requests)),
        }
    }

    /// Excess requests are rejected at once, because waiting would only delay the rejection. Public
    /// operations need no permit: probes are answered under any load.
    fn permit(&self, request: &Request) -> poem::Result<Option<OwnedSemaphorePermit>> {
        if ApiOperation::of(request)?.is_always_served() {
            return Ok(None);
        }
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        Ok(Some(permit.map_err(|_| Error::Overloaded)?))
    }
}

impl Middleware for RunToCompletion {
    async fn call(&self, request: Box<Request>, next: &Arc<impl Next>) -> poem::Result<Response> {
        let permit = self.permit(&request)?;
        let is_read = request.method().is_safe();
        let limit = if is_read {
            self.request_timeout
        } else {
            WRITE_GRACE * self.request_timeout
        };
        let next = Arc::clone(next);
        let work = async move {
            let database = request.data::<Database>().cloned();
            // Pinned here, because it takes kilobytes and would be moved from each future into the next.
            let response = pin!(next.call(request));
            let result = with_timeout(limit, database.as_ref(), response).await;
            drop(permit);
            result
        };
        if is_read {
            return work.await;
        }
        let result = timeout(self.request_timeout, SpawnOnDrop::new(work)).await;
        result.unwrap_or_else(|_| Err(RequestError::TimedOut.into()))
    }
}

/// A future that continues in a task of its own if it is dropped before it is done. (Spawned from the
/// start, most requests would be handed from one thread to another and back.)
struct SpawnOnDrop<T: Send + 'static> {
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    span: Span,
}

impl<T: Send + 'static> SpawnOnDrop<T> {
    fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self {
            work: Some(Box::pin(work)),
            span: Span::current(),
        }
    }
}

impl<T: Send + 'static> Future for SpawnOnDrop<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // A future that panics is not put back.
        let Some(mut work) = self.work.take() else {
            return Poll::Pending;
        };
        let output = work.as_mut().poll(context);
        if output.is_pending() {
            self.work = Some(work);
        }
        output
    }
}

impl<T: Send + 'static> Drop for SpawnOnDrop<T> {
    fn drop(&mut self) {
        if let (Some(work), Ok(runtime)) = (self.work.take(), Handle::try_current()) {
            runtime.spawn(in_active_trace(work.instrument(self.span.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use futures_util::FutureExt;
    use tokio::{sync::oneshot, task::yield_now};

    use super::*;

    #[tokio::test]
    async fn a_dropped_future_runs_to_completion() {
        let (resume, resumed) = oneshot::channel::<()>();
        let (finish, finished) = oneshot::channel();
        let mut work = SpawnOnDrop::new(async move {
            let resumed = resumed.await;
            finish.send(resumed.is_ok()).expect("a receiver");
        });
        assert!((&mut work).now_or_never().is_none());
        drop(work);
        resume.send(()).expect("the future still runs");
        assert_eq!(finished.await, Ok(true));
    }

    #[tokio::test]
    async fn a_future_that_is_done_or_has_panicked_is_not_run_again() {
        assert_eq!(SpawnOnDrop::new(async { 1 }).await, 1);
        let (alive, dropped) = oneshot::channel::<()>();
        let work = SpawnOnDrop::new(async move {
            let _alive = alive;
            yield_now().await;
            panic!("in the middle");
        });
        let panicked = AssertUnwindSafe(work).catch_unwind().await;
        let _: Box<_> = panicked.expect_err("a panic");
        assert!(dropped.await.is_err(), "the future is dropped");
    }
}
