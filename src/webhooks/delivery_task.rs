//! The task that delivers to one webhook, for as long as this instance has its lease.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use entity::webhook_values::PauseReason;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    delivery_state::DeliveryState,
    leases::{self, Lease},
    message::WebhookMessage,
    queries,
    sender::{Attempt, Outcome, Sender},
};
use crate::{
    changes::{Events, Following},
    database::Database,
    error::Error,
    write::{self, Actor},
};

/// The pause after an error of the database.
const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// What all tasks of an instance share.
#[derive(Clone, Debug)]
pub(super) struct DeliveryContext {
    pub(super) database: Database,
    pub(super) events: Events,
    pub(super) sender: Sender,
    /// The name of this instance in leases.
    pub(super) holder: Arc<str>,
    /// For how long all attempts have to fail until a webhook is paused.
    pub(super) pause_after: Duration,
}

/// One webhook, and what the deliverer says of it.
#[derive(Debug)]
pub(super) struct DeliveryTask {
    id: i64,
    shared: DeliveryContext,
    lease: Lease,
    /// The webhook's revision, as it was last seen.
    revision: watch::Receiver<i64>,
    stop: CancellationToken,
    /// The time of the change that is to be delivered next, in microseconds; 0 if there is none.
    head: Arc<AtomicI64>,
    has_waited: bool,
    has_failed: bool,
}

/// What follows a round.
enum AfterRound {
    Round,
    /// What comes from now on.
    Change,
    Wait(Duration),
    /// The webhook is not delivered here any more.
    End,
}

impl DeliveryTask {
    pub(super) fn new(
        id: i64,
        shared: DeliveryContext,
        lease: Lease,
        revision: watch::Receiver<i64>,
        stop: CancellationToken,
        head: Arc<AtomicI64>,
    ) -> Self {
        Self {
            id,
            shared,
            lease,
            revision,
            stop,
            head,
            has_waited: false,
            has_failed: false,
        }
    }

    /// Delivers until it has to stop, the lease ends, or the webhook is paused. Then it gives the lease back.
    pub(super) async fn run(mut self) {
        let mut delivering = None;
        while !self.stop.is_cancelled() && !self.lease.has_ended() {
            let outcome = self.round(&mut delivering).await;
            match self.logged(outcome) {
                AfterRound::Round => {}
                AfterRound::Change => self.wait_for_change(&mut delivering).await,
                AfterRound::Wait(time) => self.wait(time).await,
                AfterRound::End => break,
            }
        }
        self.head.store(0, Ordering::Relaxed);
        self.end(delivering).await;
    }

    /// Logs the first of several failures.
    fn logged(&mut self, outcome: Result<AfterRound, Error>) -> AfterRound {
        let had_failed = std::mem::replace(&mut self.has_failed, outcome.is_err());
        outcome.unwrap_or_else(|cause| {
            if !had_failed {
                tracing::warn!(webhook = self.id, %cause, "the delivery of a webhook waits");
            }
            AfterRound::Wait(ERROR_PAUSE)
        })
    }

    async fn round(&mut self, delivering: &mut Option<DeliveryState>) -> Result<AfterRound, Error> {
        if self.is_changed() {
            // What was done is recorded first, or else it is done again.
            if let Some(known) = delivering {
                known.record(&self.shared).await?;
            }
            *delivering = None;
        }
        let Some(known) = delivering else {
            return self.load(delivering).await;
        };
        if !known.record_page(&self.shared).await? {
            *delivering = None;
            return Ok(AfterRound::Round);
        }
        match known.read(&self.shared.database).await {
            Err(Error::CursorExpired) => self.pause(PauseReason::CursorExpired).await,
            page => self.deliver(known, page?).await,
        }
    }

    fn is_changed(&self) -> bool {
        self.revision.has_changed().unwrap_or_default()
    }

    async fn load(&mut self, delivering: &mut Option<DeliveryState>) -> Result<AfterRound, Error> {
        self.revision.mark_unchanged();
        let Some(loaded) = DeliveryState::load(&self.shared, self.id).await? else {
            return Ok(AfterRound::End);
        };
        let wait = loaded.wait();
        *delivering = Some(loaded);
        // Who changes a webhook wants to see whether it works now.
        let has_waited = std::mem::replace(&mut self.has_waited, true);
        let wait = wait.filter(|_| !has_waited);
        Ok(wait.map_or(AfterRound::Round, AfterRound::Wait))
    }

    /// Sends what is in a page, one change after the other.
    async fn deliver(
        &mut self,
        known: &mut DeliveryState,
        page: Following,
    ) -> Result<AfterRound, Error> {
        for row in &page.rows {
            let message = WebhookMessage::of_change(row)?;
            let time = message.at.timestamp_micros();
            self.head.store(time, Ordering::Relaxed);
            let Some(attempt) = self.attempt(known, &message).await? else {
                return Ok(AfterRound::End);
            };
            if let Some(delay) = known.note(&message, &attempt) {
                return self.fail(known, &attempt, delay).await;
            }
            if self.stop.is_cancelled() || self.is_changed() {
                return Ok(AfterRound::Round);
            }
            if known.is_due() && !known.record(&self.shared).await? {
                return Ok(self.load_again());
            }
        }
        known.pass(page.end);
        if !known.record_page(&self.shared).await? {
            return Ok(self.load_again());
        }
        if page.has_more {
            return Ok(AfterRound::Round);
        }
        self.head.store(0, Ordering::Relaxed);
        Ok(AfterRound::Change)
    }

    /// Somebody else has moved the cursor: the next round loads it.
    fn load_again(&mut self) -> AfterRound {
        self.revision.mark_changed();
        AfterRound::Round
    }

    /// Makes an attempt; `None` if the lease ended meanwhile, so that the attempt was given up.
    async fn attempt(
        &mut self,
        known: &DeliveryState,
        message: &WebhookMessage,
    ) -> Result<Option<Attempt>, Error> {
        tokio::select! {
            biased;
            () = self.lease.ended() => Ok(None),
            attempt = self.shared.sender.send(&known.row, message) => attempt.map(Some),
        }
    }

    /// Records a failure. The same change comes next, after this delay.
    async fn fail(
        &mut self,
        known: &mut DeliveryState,
        attempt: &Attempt,
        delay: Duration,
    ) -> Result<AfterRound, Error> {
        if !known.record(&self.shared).await? {
            return Ok(self.load_again());
        }
        if attempt.outcome == Outcome::Gone {
            return self.pause(PauseReason::Gone).await;
        }
        if known.has_failed_for(self.shared.pause_after) {
            return self.pause(PauseReason::Failing).await;
        }
        Ok(AfterRound::Wait(delay))
    }

    async fn pause(&self, reason: PauseReason) -> Result<AfterRound, Error> {
        let (database, id) = (&self.shared.database, self.id);
        write::run(database, &Actor::default(), |work| {
            queries::pause(work, id, reason)
        })
        .await?;
        tracing::warn!(webhook = id, ?reason, "a webhook is paused");
        Ok(AfterRound::End)
    }

    async fn wait_for_change(&mut self, delivering: &mut Option<DeliveryState>) {
        let Some(known) = delivering else {
            return;
        };
        tokio::select! {
            () = known.next_change() => {}
            () = self.stop.cancelled() => {}
            () = self.lease.ended() => {}
            Ok(()) = self.revision.changed() => self.revision.mark_changed(),
        }
    }

    /// Waits for the next attempt, which comes at once when the webhook is changed.
    async fn wait(&mut self, time: Duration) {
        tokio::select! {
            () = sleep(time) => {}
            () = self.stop.cancelled() => {}
            () = self.lease.ended() => {}
            Ok(()) = self.revision.changed() => self.revision.mark_changed(),
        }
    }

    /// Records what was done, and lets another instance go on. What can't be recorded is delivered again.
    async fn end(mut self, delivering: Option<DeliveryState>) {
        let shared = self.shared.clone();
        let work = async {
            if let Some(mut known) = delivering {
                known.record(&shared).await?;
            }
            leases::release(shared.database.connection(), &shared.holder, Some(self.id)).await
        };
        let outcome = tokio::select! {
            outcome = work => outcome,
            // Whatever it is that takes so long.
            () = async { self.lease.ended().await; sleep(ERROR_PAUSE).await } => Ok(()),
        };
        if let Err(cause) = outcome {
            tracing::warn!(webhook = self.id, %cause, "the end of a webhook's delivery is not recorded");
        }
    }
}
