//! Rosters that were answered before, ready to be sent again.
//!
//! Never by themselves: whoever asks reads the circle's revision from the database first, which is
//! one look at one row, and a roster of another revision is not sent. So a read sees every write
//! that was answered before it, whichever instance that was on; what is saved is the join, the
//! decoding and the writing of JSON.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use moka::sync::Cache;

use super::queries::State;
use crate::http::Written;

/// Bounded by the bytes it holds. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct RosterCache {
    rosters: Option<Cache<String, (State, Written)>>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What the cache did since the start, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CacheStatistics {
    pub(crate) rosters: u64,
    pub(crate) bytes: u64,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
}

impl RosterCache {
    /// A cache of this many mebibytes; of none, it keeps nothing.
    pub(crate) fn new(mebibytes: u64) -> Self {
        let rosters = (mebibytes > 0).then(|| {
            Cache::builder()
                .max_capacity(mebibytes << 20)
                .weigher(|name: &String, (_, written): &(State, Written)| {
                    u32::try_from(name.len() + written.len()).unwrap_or(u32::MAX)
                })
                .build()
        });
        Self {
            rosters,
            counters: Arc::default(),
        }
    }

    /// The roster that was last answered for a circle, in the state that it had then.
    pub(super) fn find(&self, name: &str) -> Option<(State, Written)> {
        self.rosters.as_ref()?.get(name)
    }

    pub(super) fn keep(&self, name: String, state: State, written: Written) {
        if let Some(rosters) = &self.rosters {
            rosters.insert(name, (state, written));
        }
    }

    /// Counts a roster that was asked for: was what is kept of it sent?
    pub(super) fn count(&self, hit: bool) {
        let Counters { hits, misses } = &*self.counters;
        let counter = if hit { hits } else { misses };
        counter.fetch_add(1, Ordering::Relaxed);
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
