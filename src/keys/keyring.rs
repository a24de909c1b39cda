//! Which key a token opens, and whether there are keys at all.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use entity::{api_key, values::now};

use super::{queries, token::Token};
use crate::{database::Database, error::Error};

/// What a service remembers of its keys. That is little: every token is looked up anew, so a key
/// that is revoked anywhere is of no use at once. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Keyring(Arc<Memory>);

#[derive(Debug)]
struct Memory {
    /// How long to believe that there are no keys.
    recheck: Duration,
    /// Once there is a key there always is: revoked ones stay.
    has_keys: AtomicBool,
    /// When there were none, as far as was seen last.
    none_at: Mutex<Option<Instant>>,
    /// When each key's last use was last written down, or was to be.
    noted: Mutex<HashMap<i64, Instant>>,
}

impl Keyring {
    pub(crate) fn new(recheck: Duration) -> Self {
        Self(Arc::new(Memory {
            recheck,
            has_keys: AtomicBool::new(false),
            none_at: Mutex::new(None),
            noted: Mutex::new(HashMap::new()),
        }))
    }

    /// Notes that there is a key.
    pub(crate) fn has_keys(&self) {
        self.0.has_keys.store(true, Ordering::Release);
    }

    /// Whether there are no keys. That there are none is believed for a moment, so that it costs a
    /// statement now and then and not one a request; so long may a service go on without keys when
    /// the first one is made elsewhere.
    ///
    /// # Errors
    /// What the database reports; nothing is assumed then.
    pub(crate) async fn is_empty(&self, database: &Database) -> Result<bool, Error> {
        if self.0.has_keys.load(Ordering::Acquire) {
            return Ok(false);
        }
        let seen = *lock(&self.0.none_at);
        if seen.is_some_and(|moment| moment.elapsed() < self.0.recheck) {
            return Ok(true);
        }
        let asked = Instant::now();
        if queries::exist(database.connection()).await? {
            self.has_keys();
            return Ok(false);
        }
        *lock(&self.0.none_at) = Some(asked);
        Ok(true)
    }

    /// The key that a token opens; `None` where it is wrong, expired, revoked or no token at all.
    ///
    /// # Errors
    /// What the database reports.
    pub(crate) async fn open(
        &self,
        database: &Database,
        shown: &str,
    ) -> Result<Option<api_key::Model>, Error> {
        let Some(token) = Token::parse(shown) else {
            return Ok(None);
        };
        let Some(row) = queries::find(database.connection(), token.id()).await? else {
            return Ok(None);
        };
        self.has_keys();
        let good = token.is_of(&row.secret_hash)
            && row.revoked_at.is_none()
            && row.expires_at.is_none_or(|moment| now() < moment);
        if !good {
            return Ok(None);
        }
        self.note_use(database, &row);
        Ok(Some(row))
    }

    /// Writes the use down, at most once a minute, and nobody waits for it.
    fn note_use(&self, database: &Database, row: &api_key::Model) {
        let id = row.id;
        let noted = |moment| now() - moment < queries::USE_NOTED;
        if row.last_used_at.is_some_and(noted) || !self.claim_note(id) {
            return;
        }
        let database = database.clone();
        tokio::spawn(async move {
            if let Err(cause) = queries::note_use(database.connection(), id).await {
                tracing::warn!(key = id, %cause, "the last use of a key can't be written down");
            }
        });
    }

    fn claim_note(&self, id: i64) -> bool {
        let minute = queries::USE_NOTED.to_std().unwrap_or_default();
        let mut noted = lock(&self.0.noted);
        if noted
            .get(&id)
            .is_some_and(|moment| moment.elapsed() < minute)
        {
            return false;
        }
        noted.insert(id, Instant::now());
        true
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
