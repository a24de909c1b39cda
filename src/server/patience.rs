//! How long a connection may keep the service waiting, and what it waits for.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
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

/// How long to wait for a client that does not read its answer.
const UNREAD: Duration = Duration::from_secs(30);
/// How long to wait for a client once the service is closing.
const CLOSING: Duration = Duration::from_secs(2);

/// How long to wait for a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For a whole request head, from the connection or from its first byte on.
    pub(super) head: Duration,
    /// For the next request.
    pub(super) idle: Duration,
}

/// Whose turn it is on a connection: while requests are being served, it is not the client's.
#[derive(Debug, Default)]
pub(super) struct Turns {
    begun: AtomicUsize,
    serving: AtomicUsize,
    multiplexed: AtomicBool,
}

/// A request that is being served.
#[derive(Debug)]
pub(super) struct Turn(Arc<Turns>);

impl Turns {
    pub(super) fn begin(self: &Arc<Self>, version: Version) -> Turn {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.serving.fetch_add(1, Ordering::Relaxed);
        if version == Version::HTTP_2 {
            self.multiplexed.store(true, Ordering::Relaxed);
        }
        Turn(Arc::clone(self))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.serving.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream that fails where its client exhausts the patience there is for it.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    patience: Patience,
    turns: Arc<Turns>,
    closing: CancellationToken,
    opened: Instant,
    moved: Instant,
    /// When the first bytes of a request came, and how many requests there were before it.
    head: Option<(Instant, usize)>,
    unread: bool,
    alarm: Pin<Box<Sleep>>,
}

impl<S> Patient<S> {
    pub(super) fn new(
        stream: S,
        patience: Patience,
        turns: Arc<Turns>,
        closing: CancellationToken,
    ) -> Self {
        let now = Instant::now();
        Self {
            stream,
            patience,
            turns,
            closing,
            opened: now,
            moved: now,
            head: None,
            unread: false,
            alarm: Box::pin(sleep_until(now + patience.head)),
        }
    }

    /// Until when to wait for the client; not at all while it is the service's turn.
    fn deadline(&self) -> Option<Instant> {
        let Patience { head, idle } = self.patience;
        if self.turns.serving.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let begun = self.turns.begun.load(Ordering::Relaxed);
        let deadline = match self.head {
            _ if begun == 0 => self.opened + head,
            // What comes on HTTP/2 need not be the head of a request.
            Some((since, before))
                if before == begun && !self.turns.multiplexed.load(Ordering::Relaxed) =>
            {
                since + head
            }
            _ if self.unread => self.moved + UNREAD,
            _ => self.moved + idle,
        };
        if self.closing.is_cancelled() {
            return Some(deadline.min(self.moved + CLOSING));
        }
        Some(deadline)
    }

    /// Ready when patience is at its end.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        while let Some(deadline) = self.deadline() {
            if deadline < self.alarm.deadline() || self.alarm.is_elapsed() {
                self.alarm.as_mut().reset(deadline);
            }
            ready!(self.alarm.as_mut().poll(cx));
            if deadline <= Instant::now() {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
        }
        Poll::Pending
    }

    fn has_read(&mut self) {
        self.moved = Instant::now();
        let begun = self.turns.begun.load(Ordering::Relaxed);
        let waiting = self.turns.serving.load(Ordering::Relaxed) == 0;
        if waiting && self.head.is_none_or(|(_, before)| before != begun) {
            self.head = Some((self.moved, begun));
        }
    }

    fn has_written<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        self.unread = written.is_pending();
        if written.is_ready() {
            self.moved = Instant::now();
        }
        // Also when all went well: hyper need not read before something comes, and this may have
        // been the last word before the client's turn.
        match self.poll_end(cx) {
            Poll::Ready(end) => Poll::Ready(Err(end)),
            Poll::Pending => written,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_read(cx, buffer) {
            Poll::Pending => this.poll_end(cx).map(Err),
            ready @ Poll::Ready(_) => {
                this.has_read();
                ready
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.has_written(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.has_written(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_pending() {
            return self.has_written(flushed, cx);
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        if shut.is_pending() {
            return self.has_written(shut, cx);
        }
        shut
    }
}
