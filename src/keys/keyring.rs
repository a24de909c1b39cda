//! Authentication by token, and whether any keys exist.

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

/// What the service remembers about its keys. Every token is looked up, so a key that any instance revokes
/// is rejected at once. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Keyring(Arc<Memory>);

#[derive(Debug)]
struct Memory {
    /// How long the finding that no keys exist is valid.
    recheck: Duration,
    /// Once a key exists, there always is one: revoked keys stay.
    has_keys: AtomicBool,
    /// When it was last found that no keys exist.
    none_at: Mutex<Option<Instant>>,
    /// When each key's last use was last recorded, or was about to be.
    recorded: Mutex<HashMap<i64, Instant>>,
}

impl Keyring {
    pub(crate) fn new(recheck: Duration) -> Self {
        Self(Arc::new(Memory {
            recheck,
            has_keys: AtomicBool::new(false),
            none_at: Mutex::new(None),
            recorded: Mutex::new(HashMap::new()),
        }))
    }

    /// Remembers that a key exists.
    pub(crate) fn has_keys(&self) {
        self.0.has_keys.store(true, Ordering::Release);
    }

    /// Whether a key is known to exist, without asking the database.
    pub(crate) fn knows_keys(&self) -> bool {
        self.0.has_keys.load(Ordering::Acquire)
    }

    /// Whether no keys exist. That finding is cached for a moment, so that it does not cost a statement for
    /// each request. For that long, an instance may serve without keys after another one created the first.
    ///
    /// # Errors
    /// What the database reports. The result is then unknown.
    pub(crate) async fn is_empty(&self, database: &Database) -> Result<bool, Error> {
        if self.knows_keys() {
            return Ok(false);
        }
        let none_at = *lock(&self.0.none_at);
        if none_at.is_some_and(|time| time.elapsed() < self.0.recheck) {
            return Ok(true);
        }
        let checked_at = Instant::now();
        if queries::exist(&database.reader()).await? {
            self.has_keys();
            return Ok(false);
        }
        *lock(&self.0.none_at) = Some(checked_at);
        Ok(true)
    }

    /// The key of a token; `None` if the token is malformed or wrong, or the key expired or revoked.
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
        let Some(row) = queries::find(&database.reader(), token.id()).await? else {
            return Ok(None);
        };
        self.has_keys();
        let is_accepted = token.is_of(&row.secret_hash)
            && row.revoked_at.is_none()
            && row.expires_at.is_none_or(|time| now() < time);
        if !is_accepted {
            return Ok(None);
        }
        self.record_use(database, &row);
        Ok(Some(row))
    }

    /// Records the use in the background, at most once a minute.
    fn record_use(&self, database: &Database, row: &api_key::Model) {
        let id = row.id;
        let recorded = |time| now() - time < queries::USE_INTERVAL;
        if row.last_used_at.is_some_and(recorded) || !self.claim_record(id) {
            return;
        }
        let database = database.clone();
        tokio::spawn(async move {
            let record = async {
                let _permit = database.write_permit().await?;
                queries::record_use(database.connection(), id).await
            };
            if let Err(cause) = record.await {
                tracing::warn!(key = id, %cause, "the last use of a key can't be recorded");
            }
        });
    }

    fn claim_record(&self, id: i64) -> bool {
        let minute = queries::USE_INTERVAL.to_std().unwrap_or_default();
        let mut recorded = lock(&self.0.recorded);
        if recorded
            .get(&id)
            .is_some_and(|time| time.elapsed() < minute)
        {
            return false;
        }
        recorded.insert(id, Instant::now());
        true
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
