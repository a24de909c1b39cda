//! What is measured of webhooks.

use prometheus::{Gauge, IntCounterVec, IntGaugeVec, Opts, core::Collector, proto::MetricFamily};

use super::sender::Outcome;

/// Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct WebhookMetrics {
    pub(super) attempts: IntCounterVec,
    pub(super) webhooks: IntGaugeVec,
    pub(super) lag: Gauge,
}

/// What a webhook is doing. The value of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WebhookState {
    /// The last attempt succeeded, or there was none.
    Active,
    /// The last attempt failed.
    Failing,
    Paused,
    Disabled,
}

impl WebhookState {
    pub(super) const ALL: [Self; 4] = [Self::Active, Self::Failing, Self::Paused, Self::Disabled];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Failing => "failing",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }
}

impl Default for WebhookMetrics {
    fn default() -> Self {
        let attempts = Opts::new(
            "circle_registry_webhook_attempts_total",
            "Attempts to deliver to webhooks, by their outcome.",
        );
        let attempts = IntCounterVec::new(attempts, &["outcome"]).expect("sound names");
        // Each from the start: Prometheus would not see the step from nothing to one.
        for outcome in Outcome::ALL {
            attempts.with_label_values(&[outcome.label()]);
        }
        let webhooks = Opts::new(
            "circle_registry_webhooks",
            "Webhooks by their state. The same on every instance.",
        );
        let webhooks = IntGaugeVec::new(webhooks, &["state"]).expect("sound names");
        for state in WebhookState::ALL {
            webhooks.with_label_values(&[state.label()]);
        }
        let lag = Gauge::new(
            "circle_registry_webhook_lag_seconds",
            "The age of the oldest change that this instance has still to deliver.",
        );
        Self {
            attempts,
            webhooks,
            lag: lag.expect("a sound name"),
        }
    }
}

impl WebhookMetrics {
    pub(crate) fn collect(&self) -> Vec<MetricFamily> {
        let families = [
            self.attempts.collect(),
            self.webhooks.collect(),
            self.lag.collect(),
        ];
        families.concat()
    }
}
