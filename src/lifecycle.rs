//! Where the service is between start and stop. Probes and the request gate read it.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

/// Shared by the application, which moves it, and the HTTP layer, which reads it.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle(Arc<AtomicU8>);

/// A service moves through these in order and never back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Started, but the database or its schema is not there yet.
    Waiting,
    /// Serving.
    Ready,
    /// Told to stop: requests are still answered, but balancers should look elsewhere.
    Draining,
}

impl Lifecycle {
    pub fn phase(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            0 => Phase::Waiting,
            1 => Phase::Ready,
            _ => Phase::Draining,
        }
    }

    /// The database is there and its schema is current.
    pub fn ready(&self) {
        self.0.fetch_max(Phase::Ready as u8, Ordering::AcqRel);
    }

    /// The service has been told to stop.
    pub fn drain(&self) {
        self.0.fetch_max(Phase::Draining as u8, Ordering::AcqRel);
    }
}
