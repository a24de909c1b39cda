//! The one task of an instance that finds out which webhooks it delivers, and starts and stops a task for each.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::DateTime;
use entity::{values::now, webhook};
use tokio::{
    sync::{Notify, watch},
    task::{AbortHandle, JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    delivery_task::{DeliveryContext, DeliveryTask},
    leases::{self, FoundWebhook, Lease},
    message::WebhookMessage,
    metrics::{WebhookMetrics, WebhookState},
    sender::{Attempt, Sender},
};
use crate::{
    changes::Events,
    config::WebhookSettings,
    database::Database,
    egress::EgressPolicy,
    error::Error,
    lifecycle::{Lifecycle, Phase},
    traces::Traces,
};

/// How many intervals an instance that delivers nothing waits between looks: it has only to notice that another one is gone.
const IDLE_POLL_FACTOR: u32 = 3;
/// How long one look may take: then there is still time to renew leases.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);

/// What handlers and the deliverer share. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Webhooks(Arc<WebhooksInner>);

#[derive(Debug)]
struct WebhooksInner {
    sender: Sender,
    test_sender: Sender,
    /// A webhook may have to be delivered that was not, or the reverse.
    edited: Notify,
    metrics: WebhookMetrics,
}

impl Webhooks {
    /// `request_timeout` is what a request for a test may take.
    pub(crate) fn new(
        settings: &WebhookSettings,
        request_timeout: Duration,
        metrics: WebhookMetrics,
        traces: Traces,
    ) -> Self {
        let policy = EgressPolicy {
            allow_http: settings.webhook_allow_http,
            allowed: settings.webhook_allow_address.clone(),
        };
        let sender = Sender::new(policy, settings.webhook_timeout, metrics.clone(), traces);
        Self(Arc::new(WebhooksInner {
            test_sender: sender.within(request_timeout * 4 / 5),
            sender,
            edited: Notify::new(),
            metrics,
        }))
    }

    pub(super) fn policy(&self) -> &EgressPolicy {
        self.0.sender.policy()
    }

    /// Says that a webhook was changed by this instance.
    pub(super) fn announce_edit(&self) {
        self.0.edited.notify_one();
    }

    /// Sends a message at once, whatever the state of the webhook.
    pub(super) async fn send_test(
        &self,
        row: &webhook::Model,
        message: &WebhookMessage,
    ) -> Result<Attempt, Error> {
        self.0.test_sender.send(row, message).await
    }

    /// Starts the delivery, which ends by itself when the service stops: at most `drain_limit` after it was told to.
    pub(crate) fn deliver(
        &self,
        database: Database,
        events: Events,
        lifecycle: Lifecycle,
        settings: &WebhookSettings,
        drain_limit: Duration,
    ) -> Delivery {
        let deliverer = Deliverer {
            shared: DeliveryContext {
                database,
                events,
                sender: self.0.sender.clone(),
                holder: uuid::Uuid::now_v7().to_string().into(),
                pause_after: settings.webhook_pause_after,
            },
            webhooks: self.clone(),
            poll_interval: settings.webhook_poll_interval,
            next_look: Instant::now() + settings.webhook_poll_interval,
            running: HashMap::new(),
            tasks: JoinSet::new(),
            has_failed: false,
        };
        Delivery(tokio::spawn(deliverer.run(lifecycle, drain_limit)))
    }
}

/// The delivery of an instance.
#[derive(Debug)]
pub(crate) struct Delivery(JoinHandle<()>);

impl Delivery {
    /// Waits for its end.
    pub(crate) async fn ended(self) {
        let _ = self.0.await;
    }
}

/// Waits for a phase, or one after it.
async fn reached(phases: &mut watch::Receiver<Phase>, phase: Phase) {
    // It can't fail: the application holds the sender.
    let _ = phases.wait_for(|current| *current >= phase).await;
}

struct Deliverer {
    shared: DeliveryContext,
    webhooks: Webhooks,
    poll_interval: Duration,
    next_look: Instant,
    running: HashMap<i64, Running>,
    tasks: JoinSet<()>,
    has_failed: bool,
}

/// The task of one webhook.
struct Running {
    task: AbortHandle,
    deadline: watch::Sender<Instant>,
    revision: watch::Sender<i64>,
    stop: CancellationToken,
    head: Arc<AtomicI64>,
}

impl Deliverer {
    async fn run(mut self, lifecycle: Lifecycle, drain_limit: Duration) {
        let mut phases = lifecycle.subscribe();
        reached(&mut phases, Phase::Ready).await;
        let mut renewals = interval(leases::RENEWAL_INTERVAL);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let webhooks = self.webhooks.clone();
        loop {
            tokio::select! {
                biased;
                () = reached(&mut phases, Phase::Draining) => break,
                _ = renewals.tick(), if !self.running.is_empty() => self.renew().await,
                () = sleep_until(self.next_look) => self.poll().await,
                () = webhooks.0.edited.notified() => self.poll().await,
                Some(_) = self.tasks.join_next() => self.poll().await,
            }
            self.measure_lag();
        }
        self.drain(drain_limit).await;
    }

    /// Looks at all webhooks, and takes those that no instance delivers.
    async fn poll(&mut self) {
        let database = self.shared.database.clone();
        let outcome = database.within(LOOK_TIMEOUT, self.look(&database)).await;
        self.log(outcome);
        let factor = if self.running.is_empty() {
            IDLE_POLL_FACTOR
        } else {
            1
        };
        self.next_look = Instant::now() + self.poll_interval * factor;
    }

    /// Logs the first of several failures.
    fn log(&mut self, outcome: Option<Result<(), Error>>) {
        let had_failed = self.has_failed;
        self.has_failed = !matches!(outcome, Some(Ok(())));
        if had_failed {
            return;
        }
        match outcome {
            Some(Ok(())) => {}
            Some(Err(cause)) => tracing::warn!(%cause, "webhooks wait for the database"),
            None => tracing::warn!("webhooks wait for the database, which does not respond"),
        }
    }

    async fn look(&mut self, database: &Database) -> Result<(), Error> {
        let db = database.connection();
        let holder = Arc::clone(&self.shared.holder);
        let found = leases::look(&database.reader(), &holder).await?;
        self.count(&found);
        self.running
            .retain(|_, running| !running.task.is_finished());
        self.tell(&found);
        let mut is_any_free = found
            .iter()
            .any(|found| found.is_delivered() && found.is_free);
        // A lease without a task: what took it was given up, or its task could not give it back.
        let is_orphan =
            |found: &&FoundWebhook| found.is_mine && !self.running.contains_key(&found.id);
        for orphan in found.iter().filter(is_orphan) {
            leases::release(db, &holder, Some(orphan.id)).await?;
            is_any_free = true;
        }
        if is_any_free {
            let asked = Instant::now();
            for id in leases::take_free(db, &holder).await? {
                let revision = found.iter().find(|found| found.id == id);
                self.start(id, asked, revision.map_or(0, |found| found.revision));
            }
        }
        Ok(())
    }

    fn count(&self, found: &[FoundWebhook]) {
        for state in WebhookState::ALL {
            let count = found.iter().filter(|found| found.state == state).count();
            let gauge = &self.webhooks.0.metrics.webhooks;
            let gauge = gauge.with_label_values(&[state.label()]);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Tells the tasks what was found.
    fn tell(&self, found: &[FoundWebhook]) {
        for (id, running) in &self.running {
            let found = found.iter().find(|found| found.id == *id);
            let Some(found) = found.filter(|found| found.is_delivered()) else {
                running.stop.cancel();
                continue;
            };
            if !found.is_mine {
                running.deadline.send_replace(Instant::now());
            }
            running.revision.send_if_modified(|known| {
                let is_new = *known != found.revision;
                *known = found.revision;
                is_new
            });
        }
    }

    /// Starts to deliver to a webhook, unless its last task has still to end, which gives the lease back.
    fn start(&mut self, id: i64, asked: Instant, revision: i64) {
        if self.running.contains_key(&id) {
            return;
        }
        let (deadline, lease) = Lease::until(leases::deadline_from(asked));
        let (revision, revisions) = watch::channel(revision);
        let stop = CancellationToken::new();
        let head = Arc::new(AtomicI64::new(0));
        let task = DeliveryTask::new(
            id,
            self.shared.clone(),
            lease,
            revisions,
            stop.clone(),
            Arc::clone(&head),
        );
        let running = Running {
            task: self.tasks.spawn(task.run()),
            deadline,
            revision,
            stop,
            head,
        };
        self.running.insert(id, running);
    }

    async fn renew(&mut self) {
        let database = self.shared.database.clone();
        let holder = Arc::clone(&self.shared.holder);
        let asked = Instant::now();
        let renewed = leases::renew(database.connection(), &holder);
        let renewed = database.within(LOOK_TIMEOUT, renewed).await;
        if let Some(Ok(ids)) = &renewed {
            for (id, running) in &self.running {
                let is_renewed = ids.contains(id);
                running.deadline.send_replace(if is_renewed {
                    leases::deadline_from(asked)
                } else {
                    Instant::now()
                });
            }
        }
        self.log(renewed.map(|renewed| renewed.map(|_| ())));
    }

    fn measure_lag(&self) {
        let heads = self.running.values();
        let heads = heads.map(|running| running.head.load(Ordering::Relaxed));
        let oldest = heads.filter(|head| *head > 0).min();
        let oldest = oldest.and_then(DateTime::from_timestamp_micros);
        let lag = oldest.map_or(0.0, |oldest| (now() - oldest).as_seconds_f64());
        self.webhooks.0.metrics.lag.set(lag.max(0.0));
    }

    /// Lets attempts under way end, and gives up those that take too long. They are made again by another instance, or
    /// after the next start.
    async fn drain(mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut renewals = interval(leases::RENEWAL_INTERVAL);
        for running in self.running.values() {
            running.stop.cancel();
        }
        loop {
            tokio::select! {
                biased;
                () = sleep_until(deadline) => break,
                _ = renewals.tick() => self.renew().await,
                ended = self.tasks.join_next() => if ended.is_none() {
                    return;
                },
            }
        }
        self.tasks.shutdown().await;
        let database = &self.shared.database;
        let release = leases::release(database.connection(), &self.shared.holder, None);
        let _ = database.within(LOOK_TIMEOUT, release).await;
    }
}
