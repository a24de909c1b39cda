//! A request that changes something.

use sea_orm::DbBackend;

use super::{
    Actor, IdempotencyKey, InFlight, Replayable,
    unit_of_work::{self, UnitOfWork},
};
use crate::{database::Database, error::Error};

/// Who asks for a change, in which request, and by which idempotency key.
#[derive(Clone, Debug)]
pub(crate) struct WriteRequest {
    actor: Actor,
    key: Option<IdempotencyKey>,
    in_flight: InFlight,
}

/// The outcome of a change that is tried as a single statement.
#[derive(Debug)]
pub(crate) enum FastPath<T> {
    Done(T),
    Nothing,
    /// The connection broke before there was an answer.
    Unknown,
}

impl WriteRequest {
    pub(crate) fn new(actor: Actor, key: Option<IdempotencyKey>, in_flight: InFlight) -> Self {
        Self {
            actor,
            key,
            in_flight,
        }
    }

    pub(crate) fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Makes a change by a single statement, which does all of it, with its audit entry, or nothing.
    /// Unless it is [`FastPath::Done`], the caller goes on with [`Self::run`].
    ///
    /// # Errors
    /// What the database reports; then nothing has happened.
    pub(crate) async fn fast_path<T>(
        &self,
        database: &Database,
        statement: impl Future<Output = Result<Option<T>, Error>>,
    ) -> Result<FastPath<T>, Error> {
        // SQLite has no statement that does so much, and an idempotency key is looked up first.
        if database.target().backend() != DbBackend::Postgres || self.key.is_some() {
            return Ok(FastPath::Nothing);
        }
        match statement.await {
            Ok(Some(done)) => Ok(FastPath::Done(done)),
            Ok(None) | Err(Error::Contended(_)) => Ok(FastPath::Nothing),
            Err(Error::Unavailable(cause)) if database.proved_dead(&cause) => {
                tracing::info!(%cause, "a connection was dead; changing by another one");
                Ok(FastPath::Unknown)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the change, or replays the response of an earlier request with the same key.
    ///
    /// # Errors
    /// What `change` fails with, what is wrong with the idempotency key, or what the database
    /// reports; then nothing has happened.
    pub(crate) async fn run<A, F>(
        self,
        database: &Database,
        change: impl Fn(UnitOfWork) -> F,
    ) -> Result<A, Error>
    where
        A: Replayable,
        F: Future<Output = Result<A, Error>>,
    {
        let Some(key) = &self.key else {
            return unit_of_work::run(database, &self.actor, change).await;
        };
        let change = &change;
        let _guard = self.in_flight.enter(key)?;
        unit_of_work::run(database, &self.actor, |work| async move {
            if let Some(stored) = key.find_response(work.db()).await? {
                return Ok(A::replay(stored));
            }
            let response = change(work.clone()).await?;
            key.store(work.db(), &response).await?;
            Ok(response)
        })
        .await
    }
}
