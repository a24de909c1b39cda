//! The handles of releases, which are sent as they were stored.
//!
//! One statement finds what a label points to. It is given the digests that the client and the cache know, and returns the
//! document only if the release has another: a hit reads the circle and the label, and no release. So a label that was
//! moved is seen by the next request, on any instance.

use sea_orm::{ConnectionTrait, DbErr, Statement, Value};
use tokio::task::spawn_blocking;

use super::dto::CircleHandles;
use crate::{
    circles::queries::unknown,
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

/// Their parameters are the circle, the label or the number, and two digests. The row of a circle without such a
/// release is null.
const BY_LABEL: &str = "\
    SELECT l.digest, CASE WHEN l.digest IN ($3, $4) THEN NULL ELSE \
    (SELECT handles FROM circle_releases r WHERE r.circle_id = l.circle_id AND r.number = l.release) END \
    FROM circles c LEFT JOIN circle_labels l ON l.circle_id = c.id AND l.name = $2 \
    WHERE c.name = $1 AND c.is_active";
const BY_NUMBER: &str = "\
    SELECT r.digest, CASE WHEN r.digest IN ($3, $4) THEN NULL ELSE r.handles END \
    FROM circles c LEFT JOIN circle_releases r ON r.circle_id = c.id AND r.number = $2 \
    WHERE c.name = $1 AND c.is_active";

impl ReleaseKey<'_> {
    fn statement(self) -> (&'static str, Value) {
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
    let tags = [if_none_match, cached.as_ref().and_then(CachedBody::etag)];
    let known = tags.map(|tag| tag.map_or("", first_tag));
    let (digest, handles) = find(db, circle, release, known).await?;
    let etag = digest_etag(&digest);
    if if_none_match.is_some_and(|tags| is_named(tags, &etag)) {
        return Ok(CachedAnswer::not_modified(etag));
    }
    if let Some(body) = cached.filter(|body| body.etag() == Some(&etag)) {
        cache.count_hit();
        return Ok(body.into());
    }
    cache.count_miss();
    let handles = handles.ok_or_else(|| damaged("it has no handles"))?;
    let (json, gzipped) = spawn_blocking(move || (gunzip(&handles), handles))
        .await
        .map_err(damaged)?;
    let body = CachedBody::new(json.map_err(damaged)?, etag).with_gzipped(gzipped);
    cache.insert(cache_key, body.clone());
    Ok(body.into())
}

/// The digest of a release, and its handles unless their digest is one of those known.
async fn find(
    db: &impl ConnectionTrait,
    circle: &str,
    release: ReleaseKey<'_>,
    known: [&str; 2],
) -> Result<(String, Option<Vec<u8>>), Error> {
    let (sql, key) = release.statement();
    let values = [circle.into(), key, known[0].into(), known[1].into()];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    let row = db.query_one_raw(statement).await?;
    let row = row.ok_or_else(|| unknown(circle))?;
    let digest: Option<String> = row.try_get_by_index(0)?;
    let digest = digest.ok_or_else(|| release.unknown(circle))?;
    Ok((digest, row.try_get_by_index(1)?))
}

/// What the first tag of a list identifies.
fn first_tag(tags: &str) -> &str {
    let first = tags.split(',').next().unwrap_or_default().trim();
    first.strip_prefix("W/").unwrap_or(first).trim_matches('"')
}

/// A stored document that can't be read.
#[expect(clippy::needless_pass_by_value, reason = "what map_err hands over")]
pub(crate) fn damaged(cause: impl ToString) -> Error {
    let cause = cause.to_string();
    Error::Database(DbErr::Type(format!("a damaged release: {cause}")))
}
