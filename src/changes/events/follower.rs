//! One stream of events.

use std::{borrow::Borrow, io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::{
    sync::broadcast,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Events, PAGE, StreamPermit,
    hub::{Batch, HubMessage},
    text::{self, ChangeEvent},
};
use crate::{
    changes::{
        cursor::{ChangeCursor, Position},
        feed::After,
        queries::{self, ChangeFilter, Following},
    },
    database::Connections,
    error::Error,
    http::{ProblemKind, RequestError, RequestId},
};

/// The longest time in which nothing is sent.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// After so many milliseconds and up to as many again, clients connect again: not all at once after an instance stopped.
const RETRY_MILLISECONDS: usize = 1000;

/// A follower, and how far it is.
pub(super) struct Follower {
    events: Events,
    filter: ChangeFilter,
    /// The last change that it was shown, or that its filter left out.
    cursor: ChangeCursor,
    /// The last place to continue from that it was sent.
    told: Position,
    messages: broadcast::Receiver<HubMessage>,
    /// Whether what follows is to be read from the feed.
    is_behind: bool,
    heartbeat_at: Instant,
    ended: Arc<CancellationToken>,
    request_id: RequestId,
    /// What the stream begins with.
    beginning: Option<String>,
    _permit: StreamPermit,
}

impl Follower {
    /// Reads the first page.
    pub(super) async fn begin(
        events: &Events,
        db: &Connections,
        filter: ChangeFilter,
        after: After,
        ended: Arc<CancellationToken>,
        request_id: RequestId,
        permit: StreamPermit,
    ) -> Result<Self, Error> {
        // Before the read, so that what is committed after it is in a message.
        let messages = events.0.messages.subscribe();
        events.0.arrival.notify_one();
        let following = queries::list(db, &filter, after, PAGE).await?;
        let mut follower = Self {
            events: events.clone(),
            filter,
            cursor: following.end,
            told: following.end.position,
            messages,
            is_behind: false,
            heartbeat_at: Instant::now() + HEARTBEAT_INTERVAL,
            ended,
            request_id,
            beginning: None,
            _permit: permit,
        };
        let open = events.0.streams.available_permits();
        let retry = RETRY_MILLISECONDS + open * 61 % RETRY_MILLISECONDS;
        let changes = follower.take_page(&following)?;
        follower.beginning = Some(if changes.is_empty() {
            text::beginning(retry, follower.cursor)
        } else {
            format!("retry: {retry}\n\n{changes}")
        });
        Ok(follower)
    }

    pub(super) fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> {
        stream::unfold(Some(self), async |follower| {
            let mut follower = follower?;
            let (text, is_last) = follower.next().await?;
            let rest = (!is_last).then_some(follower);
            Some((Ok(Bytes::from(text)), rest))
        })
    }

    /// The next text, and whether it is the last one; `None` at the end.
    async fn next(&mut self) -> Option<(String, bool)> {
        if let Some(beginning) = self.beginning.take() {
            return Some((beginning, false));
        }
        loop {
            if self.ended.is_cancelled() {
                return self.last_words();
            }
            let text = if self.is_behind {
                match self.read_page().await {
                    Ok(text) => text,
                    Err(cause) => return self.fail(&cause),
                }
            } else {
                self.wait().await
            };
            if !text.is_empty() {
                self.heartbeat_at = Instant::now() + HEARTBEAT_INTERVAL;
                return Some((text, false));
            }
        }
    }

    /// Waits for changes, or until it is time for a heartbeat.
    async fn wait(&mut self) -> String {
        tokio::select! {
            biased;
            () = self.ended.cancelled() => String::new(),
            message = self.messages.recv() => match message {
                Ok(HubMessage::Changes(batch)) => self.take_batch(&batch),
                Ok(HubMessage::Restart) | Err(_) => {
                    self.is_behind = true;
                    String::new()
                }
            },
            () = sleep_until(self.heartbeat_at) => self.heartbeat(),
        }
    }

    /// Those of the hub's changes that it has not been shown.
    fn take_batch(&mut self, batch: &Batch) -> String {
        let after = self.cursor.position;
        if batch.end.position > after {
            self.cursor = batch.end;
        }
        let shown = batch.events.iter().filter(|event| {
            event.position > after
                && self
                    .filter
                    .shows(&event.resource, &event.action, event.circle_id)
        });
        let shown: Vec<_> = shown.collect();
        self.show(&shown)
    }

    /// The next page of the feed. Nothing is dropped in the middle of a statement.
    async fn read_page(&mut self) -> Result<String, Error> {
        let events = self.events.clone();
        let db = events.0.database.reader();
        let after = After::Cursor(self.cursor);
        let _reader = events.0.readers.acquire().await;
        let read = queries::list(&db, &self.filter, after, PAGE);
        let following = events.0.database.within(READ_TIMEOUT, read).await;
        let text = self.take_page(&following.unwrap_or(Err(Error::Overloaded))?)?;
        // The filter may have left out thousands of changes, which are not to be looked through again.
        if text.is_empty() && self.is_behind {
            return Ok(self.place());
        }
        Ok(text)
    }

    fn take_page(&mut self, following: &Following) -> Result<String, Error> {
        let events = following.rows.iter().map(ChangeEvent::read);
        let events = events.collect::<Result<Vec<_>, _>>()?;
        self.cursor = following.end;
        self.is_behind = following.has_more;
        Ok(self.show(&events))
    }

    fn show(&mut self, events: &[impl Borrow<ChangeEvent>]) -> String {
        if let Some(last) = events.last() {
            self.told = last.borrow().position;
        }
        let texts = events.iter().map(|event| event.borrow().text.as_str());
        texts.collect()
    }

    fn place(&mut self) -> String {
        self.told = self.cursor.position;
        text::place(self.cursor)
    }

    /// A comment, and the place to continue from if the filter has left out changes.
    fn heartbeat(&mut self) -> String {
        if self.told == self.cursor.position {
            return text::HEARTBEAT.to_owned();
        }
        format!("{}{}", text::HEARTBEAT, self.place())
    }

    /// A caller that may no longer read gets a problem; when the service closes, the client connects to another instance.
    fn last_words(&self) -> Option<(String, bool)> {
        if self.events.0.closing.is_cancelled() {
            return None;
        }
        let kind = ProblemKind::from(&RequestError::InvalidToken);
        Some((text::problem(&kind, &self.request_id), true))
    }

    /// The database fails only for a while: the client connects again, and learns why from the response.
    fn fail(&self, cause: &Error) -> Option<(String, bool)> {
        if matches!(cause, Error::CursorExpired) {
            let kind = ProblemKind::from(cause);
            return Some((text::problem(&kind, &self.request_id), true));
        }
        tracing::warn!(%cause, "an event stream broke off");
        None
    }
}
