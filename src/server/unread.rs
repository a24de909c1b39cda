//! HTTP/2 responses that their client does not read.
//!
//! hyper sends a response as far as the client's flow-control window allows, and keeps the rest for as
//! long as the connection lives. With a window of 0, a client can have a hundred responses kept. So each
//! stream runs inside [`StreamExecutor`], which ends it with a reset when its response does not move, and
//! [`ResponseBody`] says how far the response has come.

use std::{
    io,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::poll_fn;
use hyper::{
    body::{Body, Frame, SizeHint},
    rt::Executor,
};
use poem::http::Extensions;
use tokio::time::{Instant, sleep_until};

use super::{
    body::time_at_lowest_rate,
    timeouts::{RequestGuard, StreamGuard},
};

tokio::task_local! {
    /// The response of the stream that the current task runs.
    static RESPONSE: Arc<ResponseProgress>;
}

/// The largest part of a response that is handed to hyper, in bytes: the default size of a frame.
const MAX_PART: usize = 16 << 10;
/// The same on HTTP/1: as much as hyper's buffer takes.
const MAX_HTTP1_PART: usize = 64 << 10;
/// The first part. Each may be as large as all before it, so that little is held of what is not read.
const FIRST_PART: usize = 1 << 10;

/// How much of a response has been handed to hyper.
#[derive(Debug, Default)]
struct ResponseProgress {
    /// `None` before there is a response, and while one without end has nothing to read.
    started: Mutex<Option<Instant>>,
    bytes: AtomicUsize,
}

impl ResponseProgress {
    fn started(&self) -> MutexGuard<'_, Option<Instant>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of a response without end has been taken that there is yet: what follows is measured like another response.
    fn pause(&self) {
        *self.started() = None;
        self.bytes.store(0, Ordering::Relaxed);
    }

    /// When more must have been read; `None` before there is a response. hyper holds two parts of it:
    /// one that waits for the window, and one that is being sent.
    fn deadline(&self, timeout: Duration) -> Option<Instant> {
        let handed_out = self.bytes.load(Ordering::Relaxed);
        let read = handed_out.saturating_sub(2 * MAX_PART);
        Some((*self.started())? + timeout + time_at_lowest_rate(read))
    }
}

/// Runs the streams of HTTP/2 connections, each in a task of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamExecutor {
    /// How long a response may remain unread, plus the time that what was read takes at the lowest rate.
    pub(super) read_timeout: Duration,
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let response = Arc::<ResponseProgress>::default();
        let until_unread = until_unread(stream, Arc::clone(&response), self.read_timeout);
        tokio::spawn(RESPONSE.scope(response, until_unread));
    }
}

/// Runs a stream to its end, or drops it, which resets it, at the deadline of its response.
async fn until_unread(
    stream: impl Future,
    response: Arc<ResponseProgress>,
    read_timeout: Duration,
) {
    let mut stream = pin!(stream);
    let mut timer = None;
    poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        while let Some(deadline) = response.deadline(read_timeout) {
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if timer.is_elapsed() {
                timer.as_mut().reset(deadline);
            }
            ready!(timer.as_mut().poll(cx));
            if deadline <= Instant::now() {
                tracing::debug!("a response was not read in time: its stream is reset");
                return Poll::Ready(());
            }
        }
        Poll::Pending
    })
    .await;
}

/// The body of a response, which is handed out in parts: hyper takes no more of them than its buffer has room
/// for, so that the body lives until its client has read nearly all of it. On HTTP/2, what hyper holds of it can
/// be counted as read, and its request is active until it is dropped.
#[derive(Debug)]
pub(super) struct ResponseBody<B> {
    body: B,
    /// What is left of the body's last frame.
    rest: Bytes,
    http2: Option<(Arc<ResponseProgress>, RequestGuard)>,
    is_endless: bool,
    _http1_stream: Option<StreamGuard>,
    /// What the response holds until it is sent.
    _held: Extensions,
}

impl<B> ResponseBody<B> {
    pub(super) fn new(body: B, guard: RequestGuard, held: Extensions, is_endless: bool) -> Self {
        let (http2, http1_guard) = match RESPONSE.try_with(Arc::clone) {
            Ok(response) => {
                response.started().get_or_insert_with(Instant::now);
                (Some((response, guard)), None)
            }
            Err(_) => (None, Some(guard)),
        };
        Self {
            body,
            rest: Bytes::new(),
            http2,
            is_endless,
            _http1_stream: http1_guard
                .filter(|_| is_endless)
                .map(RequestGuard::into_stream),
            _held: held,
        }
    }

    /// The next frame of the body. Until there is one of a response without end, its client may wait.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>>
    where
        B: Body<Data = Bytes, Error = io::Error> + Unpin,
    {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let (true, Some((response, _))) = (self.is_endless, &self.http2) {
            match frame {
                Poll::Pending => response.pause(),
                Poll::Ready(_) => {
                    response.started().get_or_insert_with(Instant::now);
                }
            }
        }
        frame
    }

    /// The next part of what is left, and counts it. It is copied, because a slice would keep the whole in memory.
    fn next_part(&mut self) -> Bytes {
        let Some((response, _)) = &self.http2 else {
            return self.take_part(MAX_HTTP1_PART);
        };
        let response = Arc::clone(response);
        let handed_out = response.bytes.load(Ordering::Relaxed);
        let part = self.take_part(handed_out.clamp(FIRST_PART, MAX_PART));
        response.bytes.fetch_add(part.len(), Ordering::Relaxed);
        part
    }

    fn take_part(&mut self, size: usize) -> Bytes {
        if self.rest.len() <= size {
            return std::mem::take(&mut self.rest);
        }
        Bytes::copy_from_slice(&self.rest.split_to(size))
    }
}

impl<B: Body<Data = Bytes, Error = io::Error> + Unpin> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if this.rest.is_empty() {
            match ready!(this.poll_body(cx)).map(|it| it.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => this.rest = data,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        Poll::Ready(Some(Ok(Frame::data(this.next_part()))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        let body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower().saturating_add(rest));
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}
