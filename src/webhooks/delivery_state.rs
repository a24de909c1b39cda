//! A webhook that is being delivered, and how far it is.

use std::time::Duration;

use entity::{
    values::{StringList, now},
    webhook, webhook_attempt,
};
use sea_orm::DbErr;
use tokio::time::Instant;

use super::{
    delivery_task::DeliveryContext,
    message::WebhookMessage,
    progress::{self, Progress, Step},
    retry,
    sender::{Attempt, Outcome},
};
use crate::{
    changes::{self, After, ChangeCursor, ChangeFilter, Following, Heard, Subscription},
    database::Database,
    error::Error,
};

/// Changes that are read at once.
const PAGE: u64 = 50;
/// What was delivered for longer than this is recorded. After a crash, it is delivered again.
const RECORD_INTERVAL: Duration = Duration::from_secs(1);
/// The same where the filter left everything out.
const PASSING_RECORD_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct DeliveryState {
    pub(super) row: webhook::Model,
    filter: ChangeFilter,
    /// Begins before what is read, so that nothing is missed in between.
    subscription: Subscription,
    /// What was delivered last, or left out.
    cursor: ChangeCursor,
    recorded: ChangeCursor,
    recorded_at: Instant,
    /// What is not recorded yet.
    attempts: Vec<webhook_attempt::ActiveModel>,
    progress: Progress,
}

impl DeliveryState {
    /// `None` if nothing is to be delivered, or not by this instance.
    pub(super) async fn load(shared: &DeliveryContext, id: i64) -> Result<Option<Self>, Error> {
        let subscription = shared.events.subscribe();
        let db = shared.database.connection();
        let Some((row, delivery)) = progress::load(db, id).await? else {
            return Ok(None);
        };
        let is_held = delivery.holder.as_deref() == Some(&*shared.holder);
        if !is_held || !row.is_enabled || row.paused_at.is_some() {
            return Ok(None);
        }
        let now = now();
        let is_over = row.previous_secret_until.is_some_and(|until| until <= now);
        if is_over && row.previous_secret.is_some() {
            progress::forget_previous_secret(db, id, now).await?;
        }
        let cursor = ChangeCursor::parse(&delivery.cursor);
        let cursor =
            cursor.ok_or_else(|| DbErr::Type("a webhook has no sound cursor".to_owned()))?;
        Ok(Some(Self {
            filter: filter_of(&row),
            subscription,
            cursor,
            recorded: cursor,
            recorded_at: Instant::now(),
            attempts: Vec::new(),
            progress: Progress {
                failing_since: delivery.failing_since,
                failures: delivery.failures,
                next_attempt_at: delivery.next_attempt_at,
            },
            row,
        }))
    }

    /// How long the next attempt has to wait, which an instance before has found out.
    pub(super) fn wait(&self) -> Option<Duration> {
        let at = self.progress.next_attempt_at?;
        (at - now()).to_std().ok()
    }

    /// The next changes.
    pub(super) async fn read(&self, database: &Database) -> Result<Following, Error> {
        let after = After::Cursor(self.cursor);
        changes::list(&database.reader(), &self.filter, after, PAGE).await
    }

    /// All of a page is delivered.
    pub(super) fn pass(&mut self, end: ChangeCursor) {
        self.cursor = end;
    }

    /// Keeps an attempt, and what follows from it. After one that failed, the delay until the next.
    pub(super) fn note(&mut self, message: &WebhookMessage, attempt: &Attempt) -> Option<Duration> {
        self.attempts
            .push(progress::attempt_row(self.row.id, message, attempt));
        if attempt.outcome == Outcome::Delivered {
            self.progress = Progress::default();
            self.cursor = message.change.unwrap_or(self.cursor);
            return None;
        }
        let progress = &mut self.progress;
        progress.failing_since.get_or_insert(attempt.at);
        progress.failures = progress.failures.saturating_add(1);
        let delay = retry::delay(progress.failures, attempt.retry_after);
        progress.next_attempt_at = Some(now() + delay);
        Some(delay)
    }

    /// Whether all attempts have failed for so long.
    pub(super) fn has_failed_for(&self, limit: Duration) -> bool {
        let since = self.progress.failing_since;
        since.is_some_and(|since| now() - since >= limit_of(limit))
    }

    /// Whether it is time to record what was delivered.
    pub(super) fn is_due(&self) -> bool {
        !self.attempts.is_empty() && self.recorded_at.elapsed() >= RECORD_INTERVAL
    }

    /// Whether it is time to record what was only passed.
    fn is_passing_due(&self) -> bool {
        self.cursor != self.recorded && self.recorded_at.elapsed() >= PASSING_RECORD_INTERVAL
    }

    /// Records what was done at the end of a page; false if somebody else has moved the cursor or taken the lease.
    pub(super) async fn record_page(&mut self, shared: &DeliveryContext) -> Result<bool, Error> {
        if self.attempts.is_empty() && !self.is_passing_due() {
            return Ok(true);
        }
        self.record(shared).await
    }

    /// The same, wherever it is.
    pub(super) async fn record(&mut self, shared: &DeliveryContext) -> Result<bool, Error> {
        if self.attempts.is_empty() && self.cursor == self.recorded {
            return Ok(true);
        }
        let step = Step {
            webhook_id: self.row.id,
            holder: &shared.holder,
            from: &self.recorded.encode(),
            to: &self.cursor.encode(),
        };
        let recorded =
            progress::record(&shared.database, step, &self.progress, &self.attempts).await?;
        self.attempts.clear();
        self.recorded = self.cursor;
        self.recorded_at = Instant::now();
        Ok(recorded)
    }

    /// Waits, at the end of the feed, until there is something to read or to record.
    pub(super) async fn next_change(&mut self) {
        loop {
            let heard = self.subscription.next(&self.filter, self.cursor).await;
            match heard {
                Heard::Something => return,
                Heard::Nothing(cursor) => self.cursor = cursor,
            }
            if self.is_passing_due() {
                return;
            }
        }
    }
}

fn limit_of(limit: Duration) -> chrono::TimeDelta {
    chrono::TimeDelta::from_std(limit).unwrap_or(chrono::TimeDelta::MAX)
}

fn filter_of(row: &webhook::Model) -> ChangeFilter {
    let words = |list: &StringList| Some(list.0.clone()).filter(|words| !words.is_empty());
    ChangeFilter {
        resources: words(&row.resources),
        actions: words(&row.actions),
        circle_id: row.circle_id,
        // Only administrators create webhooks.
        without_admins: false,
    }
}
