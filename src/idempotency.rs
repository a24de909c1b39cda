//! Idempotency keys: a POST that a client sends again, because it never heard the answer, is
//! answered again and not done again.
//!
//! What was answered is kept in the transaction of the effect: either both are there or neither.
//! Only what went well is kept; what was refused had no effect, and may go well the next time.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use chrono::TimeDelta;
use entity::{idempotency_key, values::now};
use poem::{FromRequest, Request, RequestBody, http::Method};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, QueryFilter,
    Statement,
};
use sha2::{Digest, Sha256};

use crate::{
    caller::Caller,
    error::Error,
    http::{Kept, Repeatable},
};

/// Where a key comes in.
pub(crate) const HEADER: &str = "Idempotency-Key";
/// The longest key, in characters.
pub(crate) const MAX_LENGTH: usize = 255;
/// How long an answer is kept.
const KEPT: TimeDelta = TimeDelta::hours(24);

/// The SHA-256 of a request's body in Base64.
#[derive(Clone, Debug)]
struct BodyDigest(String);

impl BodyDigest {
    fn of(body: &[u8]) -> Self {
        Self(BASE64_STANDARD_NO_PAD.encode(Sha256::digest(body)))
    }
}

/// Notes what the body of a request with a key is, where it is read.
pub(crate) fn note_body(request: &mut Request, body: &[u8]) {
    if request.headers().contains_key(HEADER) {
        request.set_data(BodyDigest::of(body));
    }
}

/// What a request that is sent again is known by; without a key, as by everything but a POST, it is
/// not.
#[derive(Clone, Debug)]
pub(crate) struct Once(Option<Keyed>);

#[derive(Clone, Debug)]
struct Keyed {
    key: String,
    caller: Caller,
    method: String,
    path: String,
    digest: String,
}

impl Once {
    /// # Errors
    /// A key that can't be one.
    pub(crate) fn of(request: &Request, caller: Caller) -> Result<Self, Error> {
        let value = match request.headers().get(HEADER) {
            Some(value) if request.method() == Method::POST => value,
            _ => return Ok(Self(None)),
        };
        let digest = request.data::<BodyDigest>().cloned();
        Ok(Self(Some(Keyed {
            key: sound_key(value.as_bytes()).ok_or_else(unsound_key)?,
            caller,
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            digest: digest.unwrap_or_else(|| BodyDigest::of(b"")).0,
        })))
    }
}

/// A POST that takes no key, because its answer may not be kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NeverRepeated;

impl NeverRepeated {
    /// The operations that it is part of.
    pub(crate) const OPERATIONS: [&str; 1] = ["create_key"];
}

impl<'a> FromRequest<'a> for NeverRepeated {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        if request.headers().contains_key(HEADER) {
            let detail = "is not taken here: the answer holds a secret, so it can't be kept";
            return Err(Error::invalid(format!("header/{HEADER}"), detail).into());
        }
        Ok(Self)
    }
}

fn sound_key(value: &[u8]) -> Option<String> {
    let sound = (1..=MAX_LENGTH).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
    sound.then(|| String::from_utf8_lossy(value).into_owned())
}

fn unsound_key() -> Error {
    Error::invalid(
        format!("header/{HEADER}"),
        format!("must have 1 to {MAX_LENGTH} visible ASCII characters"),
    )
}

/// The keys whose requests are being served by this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running(Arc<Mutex<HashSet<String>>>);

impl Running {
    fn enter(&self, name: String) -> Option<Entered> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(name.clone()).then(|| Entered {
            running: self.clone(),
            name,
        })
    }
}

/// A key in use; free again when dropped.
#[derive(Debug)]
pub(crate) struct Entered {
    running: Running,
    name: String,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let names = self.running.0.lock();
        names
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.name);
    }
}

impl Once {
    pub(crate) fn has_key(&self) -> bool {
        self.0.is_some()
    }

    /// Takes the key for as long as the request is being served.
    ///
    /// # Errors
    /// Another request with it is being served by this process (409).
    pub(crate) fn enter(&self, running: &Running) -> Result<Option<Entered>, Error> {
        let Some(keyed) = &self.0 else {
            return Ok(None);
        };
        let entered = running.enter(keyed.name());
        entered.map(Some).ok_or_else(in_progress)
    }

    /// What was answered before. Until the transaction ends, nobody else can use the key.
    ///
    /// # Errors
    /// Another request with the key is being served (409), the key was used with another body
    /// (422), or what the database reports.
    pub(crate) async fn answered(&self, db: &DatabaseTransaction) -> Result<Option<Kept>, Error> {
        match &self.0 {
            Some(keyed) => keyed.answered(db).await,
            None => Ok(None),
        }
    }

    /// Keeps the answer, where there is a key.
    ///
    /// # Errors
    /// What the database reports.
    pub(crate) async fn keep<A: Repeatable>(
        &self,
        db: &DatabaseTransaction,
        answer: &A,
    ) -> Result<(), Error> {
        match &self.0 {
            Some(keyed) => keyed.keep(db, answer).await,
            None => Ok(()),
        }
    }
}

impl Keyed {
    fn name(&self) -> String {
        let Self {
            key,
            caller,
            method,
            path,
            digest: _,
        } = self;
        format!("{caller} {method} {path} {key}")
    }

    async fn answered(&self, db: &DatabaseTransaction) -> Result<Option<Kept>, Error> {
        self.reserve(db).await?;
        let Some(row) = self.find(db).await? else {
            return Ok(None);
        };
        if row.digest != self.digest {
            return Err(Error::invalid(
                format!("header/{HEADER}"),
                "was used with another body",
            ));
        }
        Ok(Some(Kept {
            body: row.body,
            etag: row.etag,
            location: row.location,
            replayed: true,
        }))
    }

    /// Against other instances on the same PostgreSQL. On SQLite there is one writer anyway.
    async fn reserve(&self, db: &DatabaseTransaction) -> Result<(), Error> {
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
        idempotency_key::Entity::find()
            .filter(idempotency_key::Column::Caller.eq(self.caller.to_string()))
            .filter(idempotency_key::Column::Method.eq(self.method.as_str()))
            .filter(idempotency_key::Column::Path.eq(self.path.as_str()))
            .filter(idempotency_key::Column::Key.eq(self.key.as_str()))
            .filter(idempotency_key::Column::CreatedAt.gt(now() - KEPT))
            .one(db)
            .await
    }

    async fn keep<A: Repeatable>(&self, db: &DatabaseTransaction, answer: &A) -> Result<(), Error> {
        let now = now();
        idempotency_key::Entity::delete_many()
            .filter(idempotency_key::Column::CreatedAt.lte(now - KEPT))
            .exec(db)
            .await?;
        let Kept {
            body,
            etag,
            location,
            replayed: _,
        } = answer.kept();
        let row = idempotency_key::ActiveModel {
            id: NotSet,
            caller: Set(self.caller.to_string()),
            method: Set(self.method.clone()),
            path: Set(self.path.clone()),
            key: Set(self.key.clone()),
            digest: Set(self.digest.clone()),
            status: Set(i32::from(A::STATUS)),
            location: Set(location),
            etag: Set(etag),
            body: Set(body),
            created_at: Set(now),
        };
        row.insert(db).await?;
        Ok(())
    }
}

fn in_progress() -> Error {
    Error::conflict(
        "idempotency_in_progress",
        "a request with this Idempotency-Key is being served; try again when it is done",
    )
}
