//! The one task of an instance that reads the feed for all followers, and checks their keys.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};

use super::{Events, PAGE, text::ChangeEvent};
use crate::{
    changes::{
        cursor::ChangeCursor,
        feed::{self, After},
        queries::{self, ChangeFilter},
    },
    database::Database,
    error::Error,
    keys::queries as keys,
    write::Caller,
};

/// The interval between reads while nothing changes.
const REST_INTERVAL: Duration = Duration::from_secs(1);
/// The interval between reads while other instances make changes, or a transaction holds changes back.
const BUSY_INTERVAL: Duration = Duration::from_millis(200);
/// For how long after a change more of them are expected.
const BUSY_TIME: Duration = Duration::from_secs(10);
/// The shortest interval, however many changes this instance makes.
const MIN_INTERVAL: Duration = Duration::from_millis(100);
/// With the rest of a round, a revoked key ends its streams within 5 seconds.
const KEY_CHECK_INTERVAL: Duration = Duration::from_secs(2);
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// What followers receive.
#[derive(Clone, Debug)]
pub(super) enum HubMessage {
    /// The changes that followed those of the message before.
    Changes(Arc<Batch>),
    /// The next message may not follow the one before: read the feed.
    Restart,
}

/// One read of the feed.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) events: Vec<ChangeEvent>,
    pub(super) end: ChangeCursor,
}

/// Reads the feed whenever there may be changes, until the service closes.
pub(super) async fn run(events: Events) {
    let closing = events.0.closing.clone();
    let mut hub = Hub::new(events);
    while !closing.is_cancelled() {
        let wait = hub.round().await;
        tokio::select! {
            () = closing.cancelled() => {}
            () = wait.over(&hub.events) => {}
        }
    }
}

/// What the hub waits for.
enum Wait {
    Follower,
    /// A change, or the end of this interval.
    Change(Duration),
}

impl Wait {
    async fn over(self, events: &Events) {
        match self {
            Self::Follower => events.0.arrival.notified().await,
            Self::Change(interval) => {
                sleep(MIN_INTERVAL).await;
                let change = events.0.database.next_change();
                let _ = timeout(interval.saturating_sub(MIN_INTERVAL), change).await;
            }
        }
    }
}

struct Hub {
    events: Events,
    /// The end of what was sent; `None` if there was no follower, or if it is not known.
    position: Option<ChangeCursor>,
    busy_until: Instant,
    keys_checked_at: Option<Instant>,
    has_failed: bool,
}

impl Hub {
    fn new(events: Events) -> Self {
        Self {
            events,
            position: None,
            busy_until: Instant::now(),
            keys_checked_at: None,
            has_failed: false,
        }
    }

    async fn round(&mut self) -> Wait {
        if self.events.0.messages.receiver_count() == 0 {
            self.position = None;
            return Wait::Follower;
        }
        let database = self.events.0.database.clone();
        let outcome = database.within(READ_TIMEOUT, self.work(&database)).await;
        match outcome {
            Some(Ok(())) => self.has_failed = false,
            Some(Err(cause)) => self.log_failure(&cause),
            None => self.log_failure(&"the database does not respond"),
        }
        if Instant::now() < self.busy_until {
            return Wait::Change(BUSY_INTERVAL);
        }
        Wait::Change(REST_INTERVAL)
    }

    /// Logs the first of several failures.
    fn log_failure(&mut self, cause: &dyn std::fmt::Display) {
        if !self.has_failed {
            tracing::warn!(%cause, "event streams wait for the database");
        }
        self.has_failed = true;
    }

    /// Keys come first: after an outage of the database, a revoked one gets no further event.
    async fn work(&mut self, database: &Database) -> Result<(), Error> {
        if self
            .keys_checked_at
            .is_none_or(|at| at.elapsed() >= KEY_CHECK_INTERVAL)
        {
            self.events.end_unauthorized().await?;
            self.keys_checked_at = Some(Instant::now());
        }
        match self.position {
            None => self.begin(database).await,
            Some(position) => self.tell(database, position).await,
        }
    }

    async fn begin(&mut self, database: &Database) -> Result<(), Error> {
        let latest = feed::window(&database.reader(), After::Latest, 1).await?;
        self.position = Some(latest.end());
        self.send(HubMessage::Restart);
        Ok(())
    }

    /// Sends what followed this position.
    async fn tell(&mut self, database: &Database, mut position: ChangeCursor) -> Result<(), Error> {
        let all = ChangeFilter::default();
        loop {
            let after = After::Cursor(position);
            let following = match queries::list(&database.reader(), &all, after, PAGE).await {
                Err(Error::CursorExpired) => return self.begin(database).await,
                following => following?,
            };
            position = following.end;
            self.position = Some(position);
            if !following.rows.is_empty() || following.held_back_since.is_some() {
                self.busy_until = Instant::now() + BUSY_TIME;
            }
            if !following.rows.is_empty() {
                let events = following.rows.iter().map(ChangeEvent::read);
                let events = events.collect::<Result<_, _>>()?;
                let end = position;
                self.send(HubMessage::Changes(Arc::new(Batch { events, end })));
            }
            if !following.has_more {
                return Ok(());
            }
        }
    }

    /// Nothing is lost if there is no follower: each reads the feed when it comes.
    fn send(&self, message: HubMessage) {
        let _ = self.events.0.messages.send(message);
    }
}

impl Events {
    /// Ends the streams of callers that may no longer read.
    async fn end_unauthorized(&self) -> Result<(), Error> {
        let callers = self.followed_by();
        let ids: Vec<i64> = callers.iter().filter_map(|it| it.key_id()).collect();
        let mut ended = HashSet::new();
        if callers.contains(&Caller::Anyone) && !self.0.keyring.is_empty(&self.0.database).await? {
            ended.insert(Caller::Anyone);
        }
        if !ids.is_empty() {
            let db = self.0.database.reader();
            let usable = keys::usable_among(&db, ids.clone()).await?;
            let lost = ids.into_iter().filter(|id| !usable.contains(id));
            ended.extend(lost.map(Caller::Key));
        }
        let mut callers = self
            .0
            .callers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for caller in ended {
            if let Some(end) = callers.remove(&caller) {
                end.cancel();
            }
        }
        Ok(())
    }

    /// The callers that have a stream open.
    fn followed_by(&self) -> HashSet<Caller> {
        let mut callers = self
            .0
            .callers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        callers.retain(|_, end| Arc::strong_count(end) > 1);
        callers.keys().copied().collect()
    }
}
