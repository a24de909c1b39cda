//! How long a client may keep a connection waiting.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use poem::http::Version;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// How long a client may be idle once the service is closing.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug)]
pub(super) struct ClientTimeouts {
    /// For a whole request head, from the start of the connection or from the head's first byte.
    pub(super) head: Duration,
    /// Until the next request.
    pub(super) idle: Duration,
    /// For a response of which nothing is read.
    pub(super) response_read: Duration,
}

/// Counts the requests of one connection: while one is active, the client may wait as long as it takes. On HTTP/1.1, a response
/// without end leaves the client nothing to do but to read.
#[derive(Debug, Default)]
pub(super) struct ConnectionRequests {
    started: AtomicUsize,
    active: AtomicUsize,
    streaming: AtomicBool,
    multiplexed: AtomicBool,
    last_ended: Mutex<Option<Instant>>,
}

/// Keeps a request active until it is dropped.
#[derive(Debug)]
pub(super) struct RequestGuard(Arc<ConnectionRequests>);

/// Keeps an HTTP/1.1 connection open for a response without end, until it is dropped.
#[derive(Debug)]
pub(super) struct StreamGuard(Arc<ConnectionRequests>);

impl RequestGuard {
    pub(super) fn into_stream(self) -> StreamGuard {
        self.0.streaming.store(true, Ordering::Relaxed);
        StreamGuard(Arc::clone(&self.0))
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.0.streaming.store(false, Ordering::Relaxed);
    }
}

impl ConnectionRequests {
    pub(super) fn start(self: &Arc<Self>, version: Version) -> RequestGuard {
        self.started.fetch_add(1, Ordering::Relaxed);
        self.active.fetch_add(1, Ordering::Relaxed);
        if version == Version::HTTP_2 {
            self.multiplexed.store(true, Ordering::Relaxed);
        }
        RequestGuard(Arc::clone(self))
    }

    fn started(&self) -> usize {
        self.started.load(Ordering::Relaxed)
    }

    fn is_any_active(&self) -> bool {
        self.active.load(Ordering::Relaxed) > 0
    }

    fn is_streaming(&self) -> bool {
        self.streaming.load(Ordering::Relaxed)
    }

    fn is_multiplexed(&self) -> bool {
        self.multiplexed.load(Ordering::Relaxed)
    }

    /// When the last HTTP/2 request ended.
    fn last_ended(&self) -> Option<Instant> {
        *self.lock_last_ended()
    }

    fn lock_last_ended(&self) -> MutexGuard<'_, Option<Instant>> {
        let last_ended = self.last_ended.lock();
        last_ended.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        if self.0.is_multiplexed() {
            *self.0.lock_last_ended() = Some(Instant::now());
        }
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream that fails when its client exceeds a timeout.
#[derive(Debug)]
pub(super) struct TimedStream<S> {
    stream: S,
    timeouts: ClientTimeouts,
    requests: Arc<ConnectionRequests>,
    closing: CancellationToken,
    opened_at: Instant,
    last_progress: Instant,
    /// When the first bytes of a request head arrived, and how many requests had started before it.
    head_started: Option<(Instant, usize)>,
    /// Since when the client has not read what is written to it.
    unread_since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl<S> TimedStream<S> {
    pub(super) fn new(
        stream: S,
        timeouts: ClientTimeouts,
        requests: Arc<ConnectionRequests>,
        closing: CancellationToken,
    ) -> Self {
        let now = Instant::now();
        Self {
            stream,
            timeouts,
            requests,
            closing,
            opened_at: now,
            last_progress: now,
            head_started: None,
            unread_since: None,
            timer: Box::pin(sleep_until(now + timeouts.head)),
        }
    }

    /// When the client must have acted; `None` while a request is active, or there is nothing to read of a response without end.
    fn deadline(&self) -> Option<Instant> {
        let ClientTimeouts {
            head,
            idle,
            response_read,
        } = self.timeouts;
        if self.requests.is_any_active() {
            return None;
        }
        let started = self.requests.started();
        let deadline = match (self.head_started, self.unread_since) {
            _ if started == 0 => Some(self.opened_at + head),
            // Bytes on an HTTP/2 connection need not belong to a request head.
            (Some((since, before)), _) if before == started && !self.requests.is_multiplexed() => {
                Some(since + head)
            }
            (_, Some(since)) => Some(since + response_read),
            _ if self.requests.is_streaming() => None,
            // A PING keeps an HTTP/2 connection busy, but is no request.
            _ => Some(self.requests.last_ended().unwrap_or(self.last_progress) + idle),
        };
        if self.closing.is_cancelled() {
            let closing = self.last_progress + CLOSING_TIMEOUT;
            return Some(deadline.map_or(closing, |deadline| deadline.min(closing)));
        }
        deadline
    }

    /// Ready when the deadline has passed.
    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        while let Some(deadline) = self.deadline() {
            if deadline < self.timer.deadline() || self.timer.is_elapsed() {
                self.timer.as_mut().reset(deadline);
            }
            ready!(self.timer.as_mut().poll(cx));
            if deadline <= Instant::now() {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
        }
        // A stream of HTTP/2 ends in another task, which need not wake this one.
        while self.requests.is_multiplexed() {
            if self.timer.is_elapsed() {
                let later = Instant::now() + self.timeouts.idle;
                self.timer.as_mut().reset(later);
            }
            ready!(self.timer.as_mut().poll(cx));
        }
        Poll::Pending
    }

    fn record_read(&mut self) {
        self.last_progress = Instant::now();
        let started = self.requests.started();
        let is_new_head = self
            .head_started
            .is_none_or(|(_, before)| before != started);
        if is_new_head && !self.requests.is_any_active() {
            self.head_started = Some((self.last_progress, started));
        }
    }

    fn record_write<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        let now = Instant::now();
        if written.is_ready() {
            self.last_progress = now;
            self.unread_since = None;
        } else {
            self.unread_since.get_or_insert(now);
        }
        // After a successful write too: this may be the end of a response, and hyper need not poll
        // again before the client sends something.
        match self.poll_timeout(cx) {
            Poll::Ready(error) => Poll::Ready(Err(error)),
            Poll::Pending => written,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_read(cx, buffer) {
            Poll::Pending => this.poll_timeout(cx).map(Err),
            ready @ Poll::Ready(_) => {
                this.record_read();
                ready
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.record_write(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.record_write(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_pending() {
            return self.record_write(flushed, cx);
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        if shut.is_pending() {
            return self.record_write(shut, cx);
        }
        shut
    }
}
