//! Server-sent events: the feed as it grows, to any number of followers.
//!
//! One task reads the feed, however many follow, and sleeps while none does: `hub.rs`. A follower first reads pages of the feed until
//! nothing more comes, and then takes what the hub reads; when it falls behind, it reads pages again. It subscribes before it reads,
//! so nothing is lost in between, and it knows how far it is, so nothing comes twice: `follower.rs`. Nothing is
//! buffered for a follower beside what it is being sent. `text.rs` is the format.

mod follower;
mod hub;
mod subscription;
mod text;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use poem::{
    Body, IntoResponse, Request, Response,
    http::{HeaderName, header},
};
use poem_openapi::{
    ApiResponse,
    registry::{MetaResponses, Registry},
    types::Type,
};
use prometheus::IntGauge;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

use super::{dto::ChangeRow, feed::After, queries::ChangeFilter};
use crate::{
    database::{Connections, Database},
    error::Error,
    http::{EVENT_STREAM, RequestId, caller_of, declared_as},
    keys::Keyring,
    lifecycle::Lifecycle,
    write::Caller,
};
use follower::Follower;
use hub::HubMessage;
pub(crate) use subscription::{Heard, Subscription};

/// Changes in one read of the feed.
const PAGE: u64 = 50;
/// Messages that a follower may be behind before it reads pages.
const MAX_BEHIND: usize = 64;
/// Followers that read pages at the same time.
const MAX_READERS: usize = 4;

/// The followers of one instance, and what they receive. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Events(Arc<EventsInner>);

#[derive(Debug)]
struct EventsInner {
    database: Database,
    keyring: Keyring,
    messages: broadcast::Sender<HubMessage>,
    /// A follower has come.
    arrival: Notify,
    streams: Arc<Semaphore>,
    open: IntGauge,
    readers: Semaphore,
    /// What ends the streams of each caller.
    callers: Mutex<HashMap<Caller, Arc<CancellationToken>>>,
    /// Ends all of them.
    closing: CancellationToken,
}

impl Events {
    /// Starts the hub, which ends when the service closes.
    pub(crate) fn start(
        database: Database,
        keyring: Keyring,
        lifecycle: Lifecycle,
        max_streams: usize,
        open: IntGauge,
    ) -> Self {
        let (messages, _) = broadcast::channel(MAX_BEHIND);
        let events = Self(Arc::new(EventsInner {
            database,
            keyring,
            messages,
            arrival: Notify::new(),
            streams: Arc::new(Semaphore::new(max_streams)),
            open,
            readers: Semaphore::new(MAX_READERS),
            callers: Mutex::default(),
            closing: CancellationToken::new(),
        }));
        tokio::spawn(hub::run(events.clone()));
        let closing = events.0.closing.clone();
        tokio::spawn(async move {
            lifecycle.closing().await;
            closing.cancel();
        });
        events
    }

    /// Begins a stream of what follows. `db` is that of the request, which has its limits.
    ///
    /// # Errors
    /// [`Error::TooManyStreams`], [`Error::CursorExpired`], or what the database reports.
    pub(super) async fn open(
        &self,
        request: &Request,
        db: &Connections,
        filter: ChangeFilter,
        after: After,
    ) -> Result<EventStream, Error> {
        let permit = Arc::clone(&self.0.streams).try_acquire_owned();
        let permit = permit.map_err(|_| Error::TooManyStreams)?;
        let permit = StreamPermit::new(permit, &self.0.open);
        let ended = self.end_of(caller_of(request));
        let request_id = RequestId::of(request);
        let follower = Follower::begin(self, db, filter, after, ended, request_id, permit);
        let stream = follower.await?.into_stream();
        Ok(EventStream(Body::from_bytes_stream(stream)))
    }

    /// What ends the streams of this caller.
    fn end_of(&self, caller: Caller) -> Arc<CancellationToken> {
        let mut callers = self
            .0
            .callers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let end = callers
            .entry(caller)
            .or_insert_with(|| Arc::new(self.0.closing.child_token()));
        Arc::clone(end)
    }
}

/// The right to one open stream while it is held.
struct StreamPermit {
    _permit: OwnedSemaphorePermit,
    open: IntGauge,
}

impl StreamPermit {
    fn new(permit: OwnedSemaphorePermit, open: &IntGauge) -> Self {
        open.inc();
        Self {
            _permit: permit,
            open: open.clone(),
        }
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.open.dec();
    }
}

/// The response: events, until the stream ends.
pub(super) struct EventStream(Body);

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        /// What nginx reads: it would hold events back until its buffer is full.
        const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
        let response = Response::builder().content_type(EVENT_STREAM);
        let response = response.header(header::CACHE_CONTROL, "no-cache");
        response.header(BUFFERING, "no").body(self.0)
    }
}

impl ApiResponse for EventStream {
    fn meta() -> MetaResponses {
        declared_as(EVENT_STREAM, ChangeRow::schema_ref())
    }

    fn register(registry: &mut Registry) {
        ChangeRow::register(registry);
    }
}
