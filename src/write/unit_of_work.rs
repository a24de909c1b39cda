//! The transaction of a change, its audit entries, and the rule by which a change is retried.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use sea_orm::{DatabaseTransaction, DbErr};

use super::{
    Actor,
    audit::{self, Change},
};
use crate::{
    database::{Database, Transaction},
    error::Error,
};

const MAX_RETRIES: usize = 5;
/// The first delay. Each doubles the previous one, with jitter of up to as much again.
const MIN_RETRY_DELAY: Duration = Duration::from_millis(10);
/// No retry starts later than this.
const RETRY_DEADLINE: Duration = Duration::from_secs(5);

/// The transaction of a change. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct UnitOfWork(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    transaction: Transaction,
    actor: Actor,
    changes: Mutex<Vec<Change>>,
    rolls_back: AtomicBool,
}

impl UnitOfWork {
    async fn begin(database: &Database, actor: &Actor) -> Result<Self, Error> {
        Ok(Self(Arc::new(Inner {
            transaction: database.begin_write().await?,
            actor: actor.clone(),
            changes: Mutex::default(),
            rolls_back: AtomicBool::default(),
        })))
    }

    pub(crate) fn db(&self) -> &DatabaseTransaction {
        &self.0.transaction
    }

    pub(crate) fn actor(&self) -> &Actor {
        &self.0.actor
    }

    /// Records a change for the audit.
    pub(crate) fn record(&self, change: Change) {
        self.record_all([change]);
    }

    pub(crate) fn record_all(&self, changes: impl IntoIterator<Item = Change>) {
        let recorded = self.0.changes.lock();
        let mut recorded = recorded.unwrap_or_else(PoisonError::into_inner);
        recorded.extend(changes);
    }

    /// Records a change before those that it implies.
    pub(crate) fn record_first(&self, change: Change) {
        let recorded = self.0.changes.lock();
        let mut recorded = recorded.unwrap_or_else(PoisonError::into_inner);
        recorded.insert(0, change);
    }

    /// Rolls the transaction back at its end, even if the change succeeds.
    pub(crate) fn roll_back_at_end(&self) {
        self.0.rolls_back.store(true, Ordering::Relaxed);
    }

    /// Rolls back. A transaction that is dropped does so too, but only later, and its locks would outlive the response.
    async fn roll_back(self) {
        if let Some(inner) = Arc::into_inner(self.0) {
            // The error of the change is the one to report.
            let _ = inner.transaction.rollback().await;
        }
    }

    async fn finish(self) -> Result<(), Error> {
        let inner = Arc::into_inner(self.0);
        let Inner {
            transaction,
            actor,
            changes,
            rolls_back,
        } = inner.ok_or_else(|| {
            DbErr::Custom("a clone of the unit of work outlives its change".to_owned())
        })?;
        if rolls_back.into_inner() {
            return Ok(transaction.rollback().await?);
        }
        let changes = changes.into_inner();
        let changes = changes.unwrap_or_else(PoisonError::into_inner);
        audit::insert_entries(&*transaction, &actor, changes).await?;
        Ok(transaction.commit().await?)
    }
}

/// Makes a change, and retries it when the database aborts it because of a concurrent one.
///
/// A COMMIT that may have succeeded is never retried: only the database's own report of an abort
/// counts, and a broken connection reports nothing.
///
/// # Errors
/// What `change` fails with, or what the database reports; then nothing has changed.
pub(crate) async fn run<T, F>(
    database: &Database,
    actor: &Actor,
    change: impl Fn(UnitOfWork) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut delays = ExponentialBuilder::default()
        .with_min_delay(MIN_RETRY_DELAY)
        .with_max_times(MAX_RETRIES)
        .with_jitter()
        .build();
    let started = Instant::now();
    let mut reconnected = false;
    loop {
        let attempt = async {
            let work = UnitOfWork::begin(database, actor).await?;
            match change(work.clone()).await {
                Ok(done) => work.finish().await.map(|()| {
                    database.announce_change();
                    done
                }),
                Err(error) => {
                    work.roll_back().await;
                    Err(error)
                }
            }
        };
        let cause = match attempt.await {
            Err(Error::Contended(cause)) => cause,
            // Another connection may lead to a server that has become the primary.
            Err(error @ Error::ReadOnly(_)) if !reconnected && database.proved_dead(&error) => {
                reconnected = true;
                continue;
            }
            done => return done,
        };
        match delays.next() {
            Some(delay) if started.elapsed() < RETRY_DEADLINE => {
                database.count_retry();
                tracing::debug!(%cause, ?delay, "retrying a change that a concurrent one aborted");
                tokio::time::sleep(delay).await;
            }
            _ => return Err(Error::Contended(cause)),
        }
    }
}
