//! Signals that stop the service: SIGTERM, SIGINT and SIGHUP.

use std::fs;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// How many stop signals the process has received.
pub(super) fn count() -> watch::Receiver<u32> {
    let (count, receiver) = watch::channel(0);
    let mut kinds = vec![SignalKind::terminate(), SignalKind::interrupt()];
    if !is_hangup_ignored() {
        kinds.push(SignalKind::hangup());
    }
    for kind in kinds {
        match signal(kind) {
            Ok(signals) => {
                tokio::spawn(forward(signals, count.clone()));
            }
            Err(cause) => tracing::error!(%cause, ?kind, "a stop signal can't be received"),
        }
    }
    // Without any signal, nothing may look like one.
    tokio::spawn(async move { count.closed().await });
    receiver
}

async fn forward(mut signals: Signal, count: watch::Sender<u32>) {
    while signals.recv().await.is_some() {
        count.send_modify(|count| *count += 1);
    }
}

pub(super) async fn wait_for(number: u32, mut count: watch::Receiver<u32>) {
    // It can't fail: a task holds the sender.
    let _ = count.wait_for(|count| *count >= number).await;
}

/// Whether the process was started to outlive its terminal, as by `nohup`.
fn is_hangup_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 != 0)
}
