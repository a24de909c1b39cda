//! Rosters in the cache of bodies.
//!
//! Every request first reads the circle's revision, which is an indexed read of one row. A cached roster of
//! another revision is not sent. A read therefore sees every write that completed before it, on any instance.
//! The cache saves the join, the decoding and the JSON.

use sea_orm::ConnectionTrait;

use super::{dto::Roster, roster};
use crate::{
    error::Error,
    http::{BodyCache, CachedAnswer, CachedBody},
    revision::is_named,
};

/// The roster of a circle. If the client or the cache has one, its state is compared first, and the whole
/// roster is loaded only if both are out of date. Its compressed form is kept with it from the first request
/// that accepts it.
pub(super) async fn get(
    cache: &BodyCache,
    db: &impl ConnectionTrait,
    name: String,
    if_none_match: Option<&str>,
    gzip: bool,
) -> Result<CachedAnswer<Roster>, Error> {
    let cached = cache.get(&name);
    let kept = if if_none_match.is_some() || cached.is_some() {
        let etag = roster::get_state(db, &name).await?.etag();
        if if_none_match.is_some_and(|tags| is_named(tags, &etag)) {
            return Ok(CachedAnswer::not_modified(etag));
        }
        cached.filter(|body| body.etag() == Some(&etag))
    } else {
        None
    };
    if kept.is_some() {
        cache.count_hit();
    }
    let kept = match kept {
        Some(body) if !gzip || body.is_gzipped() => return Ok(body.into()),
        kept => kept,
    };
    // Boxed, because most requests need no room for it.
    let renewed = Box::pin(renew(cache, db, name, kept, gzip)).await;
    renewed.map(CachedAnswer::from)
}

/// Loads a roster that is not kept, compresses it for a request that accepts that, and keeps it.
async fn renew(
    cache: &BodyCache,
    db: &impl ConnectionTrait,
    name: String,
    kept: Option<CachedBody>,
    gzip: bool,
) -> Result<CachedBody, Error> {
    let mut body = if let Some(kept) = kept {
        kept
    } else {
        let (json, state) = roster::load(db, &name, false).await?;
        cache.count_miss();
        CachedBody::new(json, state.etag())
    };
    if gzip {
        body = body.gzipped().await;
    }
    cache.insert(name, body.clone());
    Ok(body)
}
