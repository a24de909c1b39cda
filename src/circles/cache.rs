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
    /// roster is loaded only if both are out of date.
    pub(super) async fn get(
        &self,
        db: &impl ConnectionTrait,
        name: String,
        if_none_match: Option<&str>,
    ) -> Result<CachedRoster, Error> {
        let cached = self.rosters.as_ref().and_then(|rosters| rosters.get(&name));
        if if_none_match.is_some() || cached.is_some() {
            let state = roster::get_state(db, &name).await?;
            if if_none_match.is_some_and(|tags| is_named(tags, &state.etag())) {
                return Ok(CachedRoster::NotModified(state.etag()));
            }
            if let Some((_, body)) = cached.filter(|(cached_state, _)| *cached_state == state) {
                self.counters.hits.fetch_add(1, Ordering::Relaxed);
                return Ok(CachedRoster::Whole(body));
            }
        }
        let (json, state) = roster::load(db, &name, false).await?;
        let body = CachedBody::new(json, state.etag());
        self.counters.misses.fetch_add(1, Ordering::Relaxed);
        if let Some(rosters) = &self.rosters {
            rosters.insert(name, (state, body.clone()));
        }
        Ok(CachedRoster::Whole(body))
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
