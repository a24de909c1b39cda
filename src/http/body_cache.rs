//! Bodies of responses that are kept in memory, up to a total size.
//!
//! A reader asks the database first which state is the current one, and sends a kept body only if it shows that.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use moka::sync::Cache;

use super::CachedBody;

/// Bodies by name. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct BodyCache {
    bodies: Option<Cache<String, CachedBody>>,
    counters: Arc<CacheCounters>,
}

#[derive(Debug, Default)]
struct CacheCounters {
    hits: AtomicU64,
    misses: AtomicU64,
}

/// Requests to the cache since the start, and its current size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CacheStatistics {
    pub(crate) bodies: u64,
    pub(crate) bytes: u64,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
}

impl BodyCache {
    /// A cache of this many mebibytes; 0 disables it.
    pub(crate) fn new(mebibytes: u64) -> Self {
        let bodies = (mebibytes > 0).then(|| {
            Cache::builder()
                .max_capacity(mebibytes << 20)
                .weigher(|name: &String, body: &CachedBody| {
                    u32::try_from(name.len() + body.len()).unwrap_or(u32::MAX)
                })
                .build()
        });
        Self {
            bodies,
            counters: Arc::default(),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<CachedBody> {
        self.bodies.as_ref()?.get(name)
    }

    pub(crate) fn insert(&self, name: String, body: CachedBody) {
        if let Some(bodies) = &self.bodies {
            bodies.insert(name, body);
        }
    }

    /// Counts a body that was sent as it was kept.
    pub(crate) fn count_hit(&self) {
        self.counters.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a body that the database was asked for.
    pub(crate) fn count_miss(&self) {
        self.counters.misses.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn statistics(&self) -> CacheStatistics {
        if let Some(bodies) = &self.bodies {
            bodies.run_pending_tasks();
        }
        let bodies = self.bodies.as_ref();
        CacheStatistics {
            bodies: bodies.map_or(0, Cache::entry_count),
            bytes: bodies.map_or(0, Cache::weighted_size),
            hits: self.counters.hits.load(Ordering::Relaxed),
            misses: self.counters.misses.load(Ordering::Relaxed),
        }
    }
}
