//! Where the service is between start and stop. Probes and the request gate read it.

use std::sync::Arc;

use tokio::sync::watch;

use crate::error::Error;

/// AppState by the application, which moves it, and the HTTP layer, which reads it.
#[derive(Clone, Debug)]
pub struct Lifecycle(Arc<watch::Sender<Phase>>);

/// A service moves from the first to the last of these and never back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Looking at its database for the first time, and bringing the schema up to date.
    Starting,
    /// The database is not there yet, and why.
    Waiting(&'static str),
    /// Serving.
    Ready,
    /// Told to stop: requests are still answered, but balancers should look elsewhere.
    Draining,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Phase::Starting)))
    }
}

impl Lifecycle {
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Whether requests can be served.
    ///
    /// # Errors
    /// The service is still starting, and what it waits for.
    pub fn check_started(&self) -> Result<(), Error> {
        match self.phase() {
            Phase::Starting => Err(Error::Starting(
                "The service is starting and brings its database up to date.",
            )),
            Phase::Waiting(reason) => Err(Error::Starting(reason)),
            Phase::Ready | Phase::Draining => Ok(()),
        }
    }

    /// The database is not there yet, for this reason.
    pub fn wait(&self, reason: &'static str) {
        self.0.send_if_modified(|phase| {
            let waits = *phase < Phase::Ready && *phase != Phase::Waiting(reason);
            if waits {
                *phase = Phase::Waiting(reason);
            }
            waits
        });
    }

    /// The database is there and its schema is current.
    pub fn ready(&self) {
        self.advance(Phase::Ready);
    }

    /// The service has been told to stop.
    pub fn drain(&self) {
        self.advance(Phase::Draining);
    }

    fn advance(&self, to: Phase) {
        self.0.send_if_modified(|phase| {
            let earlier = *phase < to;
            *phase = to.max(*phase);
            earlier
        });
    }

    /// Until the first look at the database has come to something.
    pub async fn started(&self) {
        let mut phases = self.0.subscribe();
        // The sender is in `self`, so it is not gone.
        let _ = phases.wait_for(|phase| *phase != Phase::Starting).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_that_is_over_does_not_come_back() {
        let lifecycle = Lifecycle::default();
        lifecycle.wait("one");
        lifecycle.wait("another");
        assert_eq!(lifecycle.phase(), Phase::Waiting("another"));
        lifecycle.ready();
        lifecycle.wait("late");
        assert_eq!(lifecycle.phase(), Phase::Ready);
        lifecycle.drain();
        lifecycle.ready();
        assert_eq!(lifecycle.phase(), Phase::Draining);
    }
}
