//! The handles of releases, which are sent as they were stored.
//!
//! If the client or the cache has handles, a narrow statement reads the digest of what the label points to now, and the
//! document is read only if they have another. So a label that was moved is seen by the next request, on any instance.

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement, Value};
use tokio::task::spawn_blocking;

use super::dto::CircleHandles;
use crate::{
    circles,
    error::Error,
    http::{BodyCache, CachedAnswer, CachedBody, gunzip},
    revision::{digest_etag, is_named},
};

/// One release of a circle.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ReleaseKey<'k> {
    Label(&'k str),
    Number(i64),
}

/// The statements of one kind of key. Their parameters are the circle, and the label or the number.
struct Statements {
    digest: &'static str,
    handles: &'static str,
}

/// A label has the name of its circle, so that one row is enough to say which release it points to.
const BY_LABEL: Statements = Statements {
    digest: "SELECT digest FROM circle_labels WHERE circle_name = $1 AND name = $2",
    handles: "SELECT r.digest, r.handles \
        FROM circle_labels l JOIN circle_releases r ON r.circle_id = l.circle_id AND r.number = l.release \
        WHERE l.circle_name = $1 AND l.name = $2",
};
const BY_NUMBER: Statements = Statements {
    digest: "SELECT r.digest \
        FROM circles c JOIN circle_releases r ON r.circle_id = c.id \
        WHERE c.name = $1 AND c.is_active AND r.number = $2",
    handles: "SELECT r.digest, r.handles \
        FROM circles c JOIN circle_releases r ON r.circle_id = c.id \
        WHERE c.name = $1 AND c.is_active AND r.number = $2",
};

impl ReleaseKey<'_> {
    fn statements(self) -> (Statements, Value) {
        match self {
            Self::Label(label) => (BY_LABEL, label.into()),
            Self::Number(number) => (BY_NUMBER, number.into()),
        }
    }

    /// No label is a number, and no circle has a slash in its name.
    fn cache_key(self, circle: &str) -> String {
        match self {
            Self::Label(label) => format!("{circle}/{label}"),
            Self::Number(number) => format!("{circle}/{number}"),
        }
    }

    fn unknown(self, circle: &str) -> Error {
        match self {
            Self::Label(label) => Error::not_found("label", format!("{circle}/{label}")),
            Self::Number(number) => Error::not_found("release", format!("{circle}/{number}")),
        }
    }
}

/// The handles of a release. Its digest is the ETag.
pub(crate) async fn get(
    cache: &BodyCache,
    db: &impl ConnectionTrait,
    circle: &str,
    release: ReleaseKey<'_>,
    if_none_match: Option<&str>,
) -> Result<CachedAnswer<CircleHandles<'static>>, Error> {
    let cache_key = release.cache_key(circle);
    let cached = cache.get(&cache_key);
    if if_none_match.is_some() || cached.is_some() {
        let etag = digest_etag(&find_digest(db, circle, release).await?);
        if if_none_match.is_some_and(|tags| is_named(tags, &etag)) {
            return Ok(CachedAnswer::not_modified(etag));
        }
        if let Some(body) = cached.filter(|body| body.etag() == Some(&etag)) {
            cache.count_hit();
            return Ok(body.into());
        }
    }
    cache.count_miss();
    // Boxed, because most requests need no room for it.
    let body = Box::pin(load(db, circle, release)).await?;
    cache.insert(cache_key, body.clone());
    Ok(body.into())
}

async fn find_digest(
    db: &impl ConnectionTrait,
    circle: &str,
    release: ReleaseKey<'_>,
) -> Result<String, Error> {
    let (statements, key) = release.statements();
    let row = find(db, statements.digest, circle, key).await?;
    match row {
        Some(row) => Ok(row.try_get_by_index(0)?),
        None => Err(explain_missing(db, circle, release).await),
    }
}

/// The handles of a release as they were stored, and decompressed.
async fn load(
    db: &impl ConnectionTrait,
    circle: &str,
    release: ReleaseKey<'_>,
) -> Result<CachedBody, Error> {
    let (statements, key) = release.statements();
    let Some(row) = find(db, statements.handles, circle, key).await? else {
        return Err(explain_missing(db, circle, release).await);
    };
    let (digest, handles): (String, Vec<u8>) = row.try_get_many_by_index()?;
    let (json, gzipped) = spawn_blocking(move || (gunzip(&handles), handles))
        .await
        .map_err(damaged)?;
    let body = CachedBody::new(json.map_err(damaged)?, digest_etag(&digest));
    Ok(body.with_gzipped(gzipped))
}

async fn find(
    db: &impl ConnectionTrait,
    sql: &str,
    circle: &str,
    key: Value,
) -> Result<Option<QueryResult>, DbErr> {
    let statement =
        Statement::from_sql_and_values(db.get_database_backend(), sql, [circle.into(), key]);
    db.query_one_raw(statement).await
}

/// Which of both there is not, the circle or its release.
async fn explain_missing(
    db: &impl ConnectionTrait,
    circle: &str,
    release: ReleaseKey<'_>,
) -> Error {
    match circles::queries::get(db, circle).await {
        Ok(_) => release.unknown(circle),
        Err(error) => error,
    }
}

/// A stored document that can't be read.
#[expect(clippy::needless_pass_by_value, reason = "what map_err hands over")]
pub(crate) fn damaged(cause: impl ToString) -> Error {
    let cause = cause.to_string();
    Error::Database(DbErr::Type(format!("a damaged release: {cause}")))
}
