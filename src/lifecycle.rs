//! The phase of the service between start and stop. The application sets it; probes and the readiness
//! middleware read it.

use std::sync::Arc;

use tokio::sync::watch;

use crate::error::Error;

/// The current phase. Clones share it.
#[derive(Clone, Debug)]
pub struct Lifecycle(Arc<watch::Sender<Phase>>);

/// A service passes through these in order and never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Connecting to the database for the first time, and migrating its schema.
    Starting,
    /// Waiting for a database that can't be used yet, for this reason.
    Waiting(&'static str),
    /// Serving.
    Ready,
    /// Told to stop. Requests are still served, but load balancers should use other instances.
    Draining,
    /// Load balancers use other instances now: streams end, so that their clients go there.
    Closing,
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

    /// For waiting until the phase changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Phase> {
        self.0.subscribe()
    }

    /// Fails while the service is starting.
    ///
    /// # Errors
    /// [`Error::Starting`], with what the service waits for.
    pub fn check_started(&self) -> Result<(), Error> {
        match self.phase() {
            Phase::Starting => Err(Error::Starting(
                "The service is starting and brings its database up to date.",
            )),
            Phase::Waiting(reason) => Err(Error::Starting(reason)),
            Phase::Ready | Phase::Draining | Phase::Closing => Ok(()),
        }
    }

    pub fn set_waiting(&self, reason: &'static str) {
        self.0.send_if_modified(|phase| {
            let changes = *phase < Phase::Ready && *phase != Phase::Waiting(reason);
            if changes {
                *phase = Phase::Waiting(reason);
            }
            changes
        });
    }

    /// The database is available and its schema is current.
    pub fn set_ready(&self) {
        self.advance(Phase::Ready);
    }

    pub fn set_draining(&self) {
        self.advance(Phase::Draining);
    }

    pub fn set_closing(&self) {
        self.advance(Phase::Closing);
    }

    /// Waits until streams must end.
    pub(crate) async fn closing(&self) {
        let mut phases = self.subscribe();
        // It can't fail: `self` holds the sender.
        let _ = phases.wait_for(|phase| *phase == Phase::Closing).await;
    }

    fn advance(&self, to: Phase) {
        self.0.send_if_modified(|phase| {
            let advances = *phase < to;
            *phase = to.max(*phase);
            advances
        });
    }

    /// Waits until the first attempt to prepare the database has succeeded or must be repeated.
    pub async fn first_attempt(&self) {
        let mut phases = self.subscribe();
        // It can't fail: `self` holds the sender.
        let _ = phases.wait_for(|phase| *phase != Phase::Starting).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_that_is_over_does_not_come_back() {
        let lifecycle = Lifecycle::default();
        lifecycle.set_waiting("one");
        lifecycle.set_waiting("another");
        assert_eq!(lifecycle.phase(), Phase::Waiting("another"));
        lifecycle.set_ready();
        lifecycle.set_waiting("late");
        assert_eq!(lifecycle.phase(), Phase::Ready);
        lifecycle.set_draining();
        lifecycle.set_ready();
        assert_eq!(lifecycle.phase(), Phase::Draining);
        lifecycle.set_closing();
        lifecycle.set_draining();
        assert_eq!(lifecycle.phase(), Phase::Closing);
    }
}
