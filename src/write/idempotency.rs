//! Idempotency keys: a POST that a client repeats, because it never received the response, is replayed
//! and not executed again.
//!
//! The response is stored in the transaction of the change: either both are there or neither. Only
//! successful responses are stored; a rejected request had no effect and may succeed the next time.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use entity::{idempotency_key, values::now};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, QueryFilter,
    Statement,
    sea_query::OnConflict,
};
use sha2::{Digest, Sha256};

use super::Caller;
use crate::error::Error;

/// The longest key, in characters.
pub(crate) const MAX_KEY_LENGTH: usize = 255;
/// How long a response is stored.
pub(crate) const RETENTION: TimeDelta = TimeDelta::hours(24);
/// The only method that takes a key.
const METHOD: &str = "POST";

/// A response without its type: as it is sent, and as it is stored for an idempotency key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StoredResponse {
    /// JSON.
    pub(crate) body: Vec<u8>,
    pub(crate) etag: Option<String>,
    pub(crate) location: Option<String>,
    /// Whether it was read from the database.
    pub(crate) replayed: bool,
}

/// A response that can be stored and replayed.
pub(crate) trait Replayable: Sized {
    const STATUS: u16;

    fn stored(&self) -> StoredResponse;

    fn replay(stored: StoredResponse) -> Self;
}

/// The SHA-256 of a request's body, and of its query if it has one, in Base64.
#[derive(Clone, Debug)]
pub(crate) struct BodyDigest(String);

impl BodyDigest {
    pub(crate) fn of(body: &[u8]) -> Self {
        Self(BASE64_STANDARD_NO_PAD.encode(Sha256::digest(body)))
    }

    /// The digest of a request with this query. Base64 has no `?`, so no body has the same digest.
    pub(crate) fn with_query(self, query: &str) -> Self {
        if query.is_empty() {
            return self;
        }
        Self::of(format!("{}?{query}", self.0).as_bytes())
    }
}

/// What identifies a repeated request.
#[derive(Clone, Debug)]
pub(crate) struct IdempotencyKey {
    key: String,
    caller: Caller,
    path: String,
    digest: BodyDigest,
}

/// The keys whose requests this process is serving. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight(Arc<Mutex<HashSet<String>>>);

/// A key in use; released when dropped.
#[derive(Debug)]
pub(crate) struct InFlightGuard {
    in_flight: InFlight,
    name: String,
}

impl InFlight {
    /// Takes a key for as long as its request is served.
    ///
    /// # Errors
    /// This process is serving another request with the key (409).
    pub(super) fn enter(&self, key: &IdempotencyKey) -> Result<InFlightGuard, Error> {
        let name = key.name();
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !names.insert(name.clone()) {
            return Err(in_progress());
        }
        Ok(InFlightGuard {
            in_flight: self.clone(),
            name,
        })
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        let names = self.in_flight.0.lock();
        names
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.name);
    }
}

impl IdempotencyKey {
    /// The header that contains the key.
    pub(crate) const HEADER: &str = "Idempotency-Key";

    /// # Errors
    /// A key that is not 1 to 255 visible ASCII characters.
    pub(crate) fn new(
        key: &[u8],
        caller: Caller,
        path: &str,
        digest: BodyDigest,
    ) -> Result<Self, Error> {
        if !(1..=MAX_KEY_LENGTH).contains(&key.len()) || !key.iter().all(u8::is_ascii_graphic) {
            return Err(Error::invalid(
                format!("header/{}", Self::HEADER),
                format!("must have 1 to {MAX_KEY_LENGTH} visible ASCII characters"),
            ));
        }
        Ok(Self {
            key: String::from_utf8_lossy(key).into_owned(),
            caller,
            path: path.to_owned(),
            digest,
        })
    }

    fn name(&self) -> String {
        let Self {
            key,
            caller,
            path,
            digest: _,
        } = self;
        format!("{caller} {METHOD} {path} {key}")
    }

    /// The response that was stored for this key. No other request can use the key until the
    /// transaction ends.
    ///
    /// # Errors
    /// Another request with the key is being served (409), the key was used with another body or query
    /// (422), or what the database reports.
    pub(super) async fn find_response(
        &self,
        db: &DatabaseTransaction,
    ) -> Result<Option<StoredResponse>, Error> {
        self.lock(db).await?;
        let Some(row) = self.find(db).await? else {
            return Ok(None);
        };
        if row.digest != self.digest.0 {
            return Err(Error::invalid(
                format!("header/{}", Self::HEADER),
                "was used with another body or query",
            ));
        }
        Ok(Some(StoredResponse {
            body: row.body.into_bytes(),
            etag: row.etag,
            location: row.location,
            replayed: true,
        }))
    }

    /// Locks the key against other instances on the same PostgreSQL. SQLite has one writer anyway.
    async fn lock(&self, db: &DatabaseTransaction) -> Result<(), Error> {
        if db.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))",
            [self.name().into()],
        );
        let row = db.query_one_raw(statement).await?;
        match row.map(|row| row.try_get_by_index::<bool>(0)).transpose()? {
            Some(true) => Ok(()),
            _ => Err(in_progress()),
        }
    }

    async fn find(
        &self,
        db: &DatabaseTransaction,
    ) -> Result<Option<idempotency_key::Model>, DbErr> {
        use idempotency_key::Column;
        idempotency_key::Entity::find()
            .filter(Column::Caller.eq(self.caller.to_string()))
            .filter(Column::Method.eq(METHOD))
            .filter(Column::Path.eq(self.path.as_str()))
            .filter(Column::Key.eq(self.key.as_str()))
            .filter(Column::CreatedAt.gt(now() - RETENTION))
            .one(db)
            .await
    }

    /// Stores the response.
    ///
    /// # Errors
    /// What the database reports.
    pub(super) async fn store<A: Replayable>(
        &self,
        db: &DatabaseTransaction,
        response: &A,
    ) -> Result<(), Error> {
        use idempotency_key::Column;
        let now = now();
        let StoredResponse {
            body,
            etag,
            location,
            replayed: _,
        } = response.stored();
        let body = String::from_utf8(body).map_err(|error| DbErr::Json(error.to_string()))?;
        let row = idempotency_key::ActiveModel {
            id: NotSet,
            caller: Set(self.caller.to_string()),
            method: Set(METHOD.to_owned()),
            path: Set(self.path.clone()),
            key: Set(self.key.clone()),
            digest: Set(self.digest.0.clone()),
            status: Set(i32::from(A::STATUS)),
            location: Set(location),
            etag: Set(etag),
            body: Set(body),
            created_at: Set(now),
        };
        // A row with this key that is still there has expired.
        let key = [Column::Caller, Column::Method, Column::Path, Column::Key];
        let replaced = [
            Column::Digest,
            Column::Status,
            Column::Location,
            Column::Etag,
            Column::Body,
            Column::CreatedAt,
        ];
        let replace = OnConflict::columns(key).update_columns(replaced).to_owned();
        idempotency_key::Entity::insert(row)
            .on_conflict(replace)
            .exec_without_returning(db)
            .await?;
        delete_expired(db, now - RETENTION).await?;
        Ok(())
    }
}

/// Deletes some of the keys that have expired, the oldest first. A request stores one key and deletes a
/// hundred at most, so the table shrinks, and no request pays for a backlog.
///
/// On PostgreSQL it passes over the rows that other requests are deleting. `ARRAY(…)` is evaluated once;
/// as `id IN (…)` the subquery may be part of a join that evaluates it again for other rows.
async fn delete_expired(
    db: &DatabaseTransaction,
    created_until: DateTime<Utc>,
) -> Result<(), DbErr> {
    const POSTGRES: &str = "
        DELETE FROM idempotency_keys WHERE id = ANY(ARRAY(
            SELECT id FROM idempotency_keys WHERE created_at <= $1
            ORDER BY created_at LIMIT 100 FOR UPDATE SKIP LOCKED
        ))";
    const SQLITE: &str = "
        DELETE FROM idempotency_keys WHERE id IN (
            SELECT id FROM idempotency_keys WHERE created_at <= ? ORDER BY created_at LIMIT 100
        )";
    let backend = db.get_database_backend();
    let sql = match backend {
        DbBackend::Sqlite => SQLITE,
        _ => POSTGRES,
    };
    let statement = Statement::from_sql_and_values(backend, sql, [created_until.into()]);
    db.execute_raw(statement).await?;
    Ok(())
}

fn in_progress() -> Error {
    Error::conflict(
        "idempotency_in_progress",
        "a request with this Idempotency-Key is being served; try again when it is done",
    )
}
