//! What systemd learns of a unit with `Type=notify`: when the service is ready, why it is not, when it
//! stops, and that it is alive.

use std::{env, time::Duration};

use sd_notify::NotifyState;

use crate::lifecycle::{Lifecycle, Phase};

/// How often the phase is repeated if no watchdog asks for more.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);
/// How long systemd waits for the next report of a service that is not ready yet, in microseconds.
const START_EXTENSION: u32 = 60_000_000;

/// Reports every phase, until the runtime ends. Nothing is reported outside a unit that asks for it.
pub(crate) async fn report(lifecycle: Lifecycle) {
    if env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let watchdog = sd_notify::watchdog_enabled();
    let interval = watchdog.map_or(REPORT_INTERVAL, |limit| (limit / 2).min(REPORT_INTERVAL));
    let mut phases = lifecycle.subscribe();
    loop {
        let phase = *phases.borrow_and_update();
        let (state, status) = match phase {
            Phase::Starting => (NotifyState::ExtendTimeoutUsec(START_EXTENSION), "starting"),
            Phase::Waiting(reason) => (NotifyState::ExtendTimeoutUsec(START_EXTENSION), reason),
            Phase::Ready => (NotifyState::Ready, "ready"),
            Phase::Draining | Phase::Closing => (NotifyState::Stopping, "stopping"),
        };
        let message = [state, NotifyState::Status(status), NotifyState::Watchdog];
        if let Err(cause) = sd_notify::notify(&message) {
            tracing::warn!(%cause, "systemd can't be notified");
        }
        let _ = tokio::time::timeout(interval, phases.changed()).await;
    }
}
