//! The roster cache.
//!
//! Every request first reads the circle's revision, which is an indexed read of one row. A cached roster of
//! another revision is not sent. A read therefore sees every write that completed before it, on any instance.
//! The cache saves the join, the decoding and the JSON.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use moka::sync::Cache;
use sea_orm::ConnectionTrait;

use super::roster::{self, RosterState};
use crate::{error::Error, http::CachedBody, revision::is_named};

/// Rosters by circle name, up to a total size in bytes. Clones share the cache.
#[derive(Clone, Debug)]
pub(crate) struct RosterCache {
    rosters: Option<Cache<String, (RosterState, CachedBody)>>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
}

/// Requests to the cache since the start, and its current size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CacheStatistics {
    pub(crate) rosters: u64,
    pub(crate) bytes: u64,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
}

/// A roster, or the ETag of the one that the client has.
#[derive(Debug)]
pub(super) enum CachedRoster {
    Whole(CachedBody),
    NotModified(String),
}

impl RosterCache {
    /// A cache of this many mebibytes; 0 disables it.
    pub(crate) fn new(mebibytes: u64) -> Self {
        let rosters = (mebibytes > 0).then(|| {
            Cache::builder()
                .max_capacity(mebibytes << 20)
                .weigher(|name: &String, (_, body): &(RosterState, CachedBody)| {
                    u32::try_from(name.len() + body.len()).unwrap_or(u32::MAX)
                })
                .build()
        });
        Self {
            rosters,
            counters: Arc::default(),
        }
    }

    /// The roster of a circle. If the client or the cache has one, its state is compared first, and the whole
    /// roster is loaded only if both are out of date. Its compressed form is kept with it from the first request
    /// that accepts it.
    pub(super) async fn get(
        &self,
        db: &impl ConnectionTrait,
        name: String,
        if_none_match: Option<&str>,
        gzip: bool,
    ) -> Result<CachedRoster, Error> {
        let cached = self.rosters.as_ref().and_then(|rosters| rosters.get(&name));
        let kept = if if_none_match.is_some() || cached.is_some() {
            let state = roster::get_state(db, &name).await?;
            if if_none_match.is_some_and(|tags| is_named(tags, &state.etag())) {
                return Ok(CachedRoster::NotModified(state.etag()));
            }
            cached.filter(|(cached_state, _)| *cached_state == state)
        } else {
            None
        };
        if kept.is_some() {
            self.counters.hits.fetch_add(1, Ordering::Relaxed);
        }
        let kept = match kept {
            Some((_, body)) if !gzip || body.is_gzipped() => return Ok(CachedRoster::Whole(body)),
            kept => kept,
        };
        // Boxed, because most requests need no room for it.
        let renewed = Box::pin(self.renew(db, name, kept, gzip)).await;
        renewed.map(CachedRoster::Whole)
    }

    /// Loads a roster that is not kept, compresses it for a request that accepts that, and keeps it.
    async fn renew(
        &self,
        db: &impl ConnectionTrait,
        name: String,
        kept: Option<(RosterState, CachedBody)>,
        gzip: bool,
    ) -> Result<CachedBody, Error> {
        let (state, mut body) = match kept {
            Some(kept) => kept,
            None => {
                let (json, state) = roster::load(db, &name, false).await?;
                self.counters.misses.fetch_add(1, Ordering::Relaxed);
                (state, CachedBody::new(json, state.etag()))
            }
        };
        if gzip {
            body = body.gzipped().await;
        }
        if let Some(rosters) = &self.rosters {
            rosters.insert(name, (state, body.clone()));
        }
        Ok(body)
    }

    pub(crate) fn statistics(&self) -> CacheStatistics {
        if let Some(rosters) = &self.rosters {
            rosters.run_pending_tasks();
        }
        let rosters = self.rosters.as_ref();
        CacheStatistics {
            rosters: rosters.map_or(0, Cache::entry_count),
            bytes: rosters.map_or(0, Cache::weighted_size),
            hits: self.counters.hits.load(Ordering::Relaxed),
            misses: self.counters.misses.load(Ordering::Relaxed),
        }
    }
}
