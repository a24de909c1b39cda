//! A request that changes something.

use std::sync::atomic::{AtomicUsize, Ordering};

use sea_orm::DbBackend;

use super::{
    Actor, IdempotencyKey, InFlight, Replayable,
    unit_of_work::{self, UnitOfWork},
};
use crate::{
    database::{Connections, Database},
    error::Error,
};

/// Who asks for a change, in which request, and with which idempotency key.
#[derive(Clone, Debug)]
pub(crate) struct WriteRequest {
    database: Database,
    actor: Actor,
    key: Option<IdempotencyKey>,
    in_flight: InFlight,
}

/// Why a change of agents is made, in the client's words.
#[derive(Clone, Debug, Default)]
pub(crate) struct VersionMessage(pub(crate) Option<String>);

/// The outcome of a change that is first tried as a single statement.
#[derive(Debug)]
pub(crate) enum FastPath<T> {
    Done(T),
    /// The statement did nothing, or was not tried. If a connection broke before it responded, an
    /// earlier attempt `may_exist`.
    NotDone {
        may_exist: bool,
    },
}

impl WriteRequest {
    pub(crate) fn new(
        database: Database,
        actor: Actor,
        key: Option<IdempotencyKey>,
        in_flight: InFlight,
    ) -> Self {
        Self {
            database,
            actor,
            key,
            in_flight,
        }
    }

    /// The same request, with the message of the versions that it makes.
    pub(crate) fn with_message(mut self, message: VersionMessage) -> Self {
        self.actor.message = message.0;
        self
    }

    /// Makes a change with a single statement, which does all of it, with its audit entry, or nothing.
    /// Unless it is [`FastPath::Done`], the caller continues with [`Self::run`]. The statement must be
    /// safe to repeat.
    ///
    /// # Errors
    /// What the database reports; then nothing has changed.
    pub(crate) async fn fast_path<'s, T, F>(
        &'s self,
        statement: impl Fn(&'s Connections, &'s Actor) -> F,
    ) -> Result<FastPath<T>, Error>
    where
        F: Future<Output = Result<Option<T>, Error>>,
    {
        // SQLite has no statement that does so much, and an idempotency key must be looked up first.
        if self.database.target().backend() != DbBackend::Postgres || self.key.is_some() {
            return Ok(FastPath::NotDone { may_exist: false });
        }
        let _permit = self.database.write_permit().await?;
        let attempts = AtomicUsize::new(0);
        let attempt = || {
            attempts.fetch_add(1, Ordering::Relaxed);
            statement(self.database.connection(), &self.actor)
        };
        match self.database.retry_once(attempt).await {
            Ok(Some(done)) => {
                self.database.announce_change();
                Ok(FastPath::Done(done))
            }
            Ok(None) | Err(Error::Contended(_)) => Ok(FastPath::NotDone {
                may_exist: attempts.into_inner() > 1,
            }),
            Err(error) => Err(error),
        }
    }

    /// Makes the change and the response to it, or replays the response of an earlier request with the
    /// same key.
    ///
    /// # Errors
    /// What `change` fails with, what is wrong with the idempotency key, or what the database
    /// reports; then nothing has changed.
    pub(crate) async fn run<R, A, F>(
        &self,
        change: impl Fn(UnitOfWork) -> F,
        respond: impl Fn(R) -> Result<A, Error>,
    ) -> Result<A, Error>
    where
        A: Replayable,
        F: Future<Output = Result<R, Error>>,
    {
        let (change, respond, key) = (&change, &respond, self.key.as_ref());
        let _guard = key.map(|key| self.in_flight.enter(key)).transpose()?;
        unit_of_work::run(&self.database, &self.actor, |work| async move {
            let Some(key) = key else {
                return respond(change(work).await?);
            };
            if let Some(stored) = key.find_response(work.db()).await? {
                return Ok(A::replay(stored));
            }
            let response = respond(change(work.clone()).await?)?;
            key.store(work.db(), &response).await?;
            Ok(response)
        })
        .await
    }
}
