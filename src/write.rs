//! Writes: whatever changes something does it in here. One transaction holds the change, its audit
//! entries and, for a POST with an idempotency key, its answer: all of them are there, or none.
//!
//! A transaction that the database broke off because another one was in its way is begun again. So
//! what a write does is a function that can be called more than once, and does nothing but by its
//! [`Work`].

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use poem::{FromRequest, Request, RequestBody};
use sea_orm::{DatabaseTransaction, DbBackend, DbErr};

use crate::{
    audit::{self, Change},
    caller::Caller,
    database::{Database, Transaction},
    error::Error,
    http::{Repeatable, RequestId},
    idempotency::Once,
};

/// How often a transaction is begun again.
const REPEATS: usize = 5;
/// The first pause before that; each is twice the one before, and up to twice that by chance.
const PAUSE: Duration = Duration::from_millis(10);
/// After this time it is not begun again, however often it was.
const PATIENCE: Duration = Duration::from_secs(5);

/// By whom a change is made, and in which request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    pub(crate) caller: Caller,
    /// `None` on the command line.
    pub(crate) request_id: Option<String>,
}

/// The transaction of a change.
#[derive(Debug)]
pub(crate) struct Work(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    transaction: Transaction,
    changes: Mutex<Vec<Change>>,
    undone: AtomicBool,
}

impl Work {
    async fn begin(database: &Database) -> Result<Self, Error> {
        Ok(Self(Arc::new(Inner {
            transaction: database.begin_write().await?,
            changes: Mutex::default(),
            undone: AtomicBool::default(),
        })))
    }

    /// Where the change happens.
    pub(crate) fn db(&self) -> &DatabaseTransaction {
        &self.0.transaction
    }

    /// Tells the audit what was changed.
    pub(crate) fn note(&self, change: Change) {
        self.note_all([change]);
    }

    pub(crate) fn note_all(&self, changes: impl IntoIterator<Item = Change>) {
        let noted = self.0.changes.lock();
        let mut noted = noted.unwrap_or_else(PoisonError::into_inner);
        noted.extend(changes);
    }

    /// In the end, nothing will have been changed.
    pub(crate) fn undo(&self) {
        self.0.undone.store(true, Ordering::Relaxed);
    }

    /// The same transaction, for a part of the change.
    fn share(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    async fn finish(self, origin: &Origin) -> Result<(), Error> {
        let inner = Arc::into_inner(self.0);
        let Inner {
            transaction,
            changes,
            undone,
        } = inner.ok_or_else(|| DbErr::Custom("a change goes on after its end".to_owned()))?;
        if undone.into_inner() {
            return Ok(transaction.rollback().await?);
        }
        let changes = changes.into_inner();
        let changes = changes.unwrap_or_else(PoisonError::into_inner);
        audit::leave(&*transaction, origin, changes).await?;
        Ok(transaction.commit().await?)
    }
}

/// Makes a change, and makes it again where the database says that another was in its way.
///
/// A COMMIT that may have gone through is not made again: only the database's own word that it
/// did not counts, and a connection that breaks says nothing.
///
/// # Errors
/// What `change` fails with, or what the database reports; then nothing has happened.
pub(crate) async fn run<T, F>(
    database: &Database,
    origin: &Origin,
    change: impl Fn(Work) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut pauses = ExponentialBuilder::default()
        .with_min_delay(PAUSE)
        .with_max_times(REPEATS)
        .with_jitter()
        .build();
    let started = Instant::now();
    loop {
        let cause = match attempt(database, origin, &change).await {
            Err(Error::Contended(cause)) => cause,
            done => return done,
        };
        match pauses.next() {
            Some(pause) if started.elapsed() < PATIENCE => {
                tracing::debug!(%cause, ?pause, "another change was in the way; again");
                tokio::time::sleep(pause).await;
            }
            _ => return Err(Error::Contended(cause)),
        }
    }
}

/// A transaction that is dropped on the way is rolled back.
async fn attempt<T, F>(
    database: &Database,
    origin: &Origin,
    change: &impl Fn(Work) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let work = Work::begin(database).await?;
    let done = change(work.share()).await?;
    work.finish(origin).await?;
    Ok(done)
}

/// What became of a change that is one statement.
#[derive(Debug)]
pub(crate) enum AtOnce<T> {
    Done(T),
    Nothing,
    /// The connection broke before there was an answer.
    Unknown,
}

/// A request that changes something.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    origin: Origin,
    once: Once,
}

impl<'a> FromRequest<'a> for Write {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        let caller = Caller::of(request);
        Ok(Self {
            origin: Origin {
                caller,
                request_id: Some(RequestId::of(request).to_string()),
            },
            once: Once::of(request, caller)?,
        })
    }
}

impl Write {
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Makes a change by a single statement, which does all of it, with its audit entry, or nothing.
    /// Where it is not [`AtOnce::Done`], [`Self::run`] is to do it.
    ///
    /// # Errors
    /// What the database reports; then nothing has happened.
    pub(crate) async fn at_once<T>(
        &self,
        database: &Database,
        statement: impl Future<Output = Result<Option<T>, Error>>,
    ) -> Result<AtOnce<T>, Error> {
        // On SQLite no statement can do so much, and an idempotency key is looked up first.
        if database.target().backend() != DbBackend::Postgres || self.once.has_key() {
            return Ok(AtOnce::Nothing);
        }
        match statement.await {
            Ok(Some(done)) => Ok(AtOnce::Done(done)),
            Ok(None) | Err(Error::Contended(_)) => Ok(AtOnce::Nothing),
            Err(Error::Unavailable(cause)) if database.proved_dead(&cause) => {
                tracing::info!(%cause, "a connection was dead; changing by another one");
                Ok(AtOnce::Unknown)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the change that was asked for, or repeats the answer where it was made before.
    ///
    /// # Errors
    /// What `change` fails with, what is wrong with the idempotency key, or what the database
    /// reports; then nothing has happened.
    pub(crate) async fn run<A, F>(
        self,
        database: &Database,
        change: impl Fn(Work) -> F,
    ) -> Result<A, Error>
    where
        A: Repeatable,
        F: Future<Output = Result<A, Error>>,
    {
        let Self { origin, once } = &self;
        let change = &change;
        let _entered = once.enter(database.running())?;
        run(database, origin, |work| async move {
            if let Some(kept) = once.answered(work.db()).await? {
                return Ok(A::again(kept));
            }
            let answer = change(work.share()).await?;
            once.keep(work.db(), &answer).await?;
            Ok(answer)
        })
        .await
    }
}
