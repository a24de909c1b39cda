//! One attempt to deliver one message.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use entity::{values::now, webhook};
use hyper::{
    HeaderMap,
    header::{CONTENT_TYPE, HeaderValue},
};
use url::Url;

use super::{message::WebhookMessage, metrics::WebhookMetrics, signature::signature};
use crate::{
    egress::{Client, EgressPolicy, RequestFailure},
    error::Error,
    traces::Traces,
};

/// Sends messages. Clones share its connections.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    client: Client,
    limit: Duration,
    metrics: WebhookMetrics,
    traces: Traces,
}

/// How an attempt went. The value of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Delivered,
    /// Another status than 2xx and 410.
    Refused,
    /// 410.
    Gone,
    TimedOut,
    Unreachable,
    /// The URL leads to where this service does not send.
    AddressRefused,
}

impl Outcome {
    pub(super) const ALL: [Self; 6] = [
        Self::Delivered,
        Self::Refused,
        Self::Gone,
        Self::TimedOut,
        Self::Unreachable,
        Self::AddressRefused,
    ];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Gone => "gone",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::AddressRefused => "address_refused",
        }
    }

    fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Delivered,
            410 => Self::Gone,
            _ => Self::Refused,
        }
    }

    fn of_failure(failure: RequestFailure) -> Self {
        match failure {
            RequestFailure::TimedOut => Self::TimedOut,
            RequestFailure::NotEncrypted | RequestFailure::AddressRefused => Self::AddressRefused,
            RequestFailure::Unresolved
            | RequestFailure::Unreachable
            | RequestFailure::Broken
            | RequestFailure::NoAuthorities => Self::Unreachable,
        }
    }
}

/// An attempt that was made.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) at: DateTime<Utc>,
    pub(super) duration: Duration,
    pub(super) outcome: Outcome,
    pub(super) status: Option<u16>,
    pub(super) error: Option<String>,
    pub(super) excerpt: String,
    pub(super) retry_after: Option<Duration>,
}

impl Sender {
    pub(super) fn new(
        policy: EgressPolicy,
        limit: Duration,
        metrics: WebhookMetrics,
        traces: Traces,
    ) -> Self {
        Self {
            client: Client::new(policy),
            limit,
            metrics,
            traces,
        }
    }

    pub(super) fn policy(&self) -> &EgressPolicy {
        self.client.policy()
    }

    /// The same, with a shorter limit.
    pub(super) fn within(&self, limit: Duration) -> Self {
        Self {
            limit: self.limit.min(limit),
            ..self.clone()
        }
    }

    /// Sends a message, signed with all secrets that are valid now.
    ///
    /// # Errors
    /// What can't be signed. A message that does not arrive is an [`Attempt`], too.
    pub(super) async fn send(
        &self,
        webhook: &webhook::Model,
        message: &WebhookMessage,
    ) -> Result<Attempt, Error> {
        let at = now();
        let mut headers = headers(webhook, message, at)?;
        let span = self.traces.start_attempt(webhook.id);
        span.inject(&mut headers);
        let started = Instant::now();
        let reply = match Url::parse(&webhook.url) {
            Ok(url) => {
                let body = message.body.clone();
                self.client.post(&url, headers, body, self.limit).await
            }
            Err(_) => Err(RequestFailure::Unresolved),
        };
        let attempt = match reply {
            Ok(reply) => {
                let outcome = Outcome::of_status(reply.status);
                let is_failure = outcome != Outcome::Delivered;
                Attempt {
                    at,
                    duration: started.elapsed(),
                    outcome,
                    status: Some(reply.status),
                    error: is_failure.then(|| format!("answered {}", reply.status)),
                    excerpt: reply.excerpt,
                    retry_after: reply.retry_after,
                }
            }
            Err(failure) => Attempt {
                at,
                duration: started.elapsed(),
                outcome: Outcome::of_failure(failure),
                status: None,
                error: Some(failure.to_string()),
                excerpt: String::new(),
                retry_after: None,
            },
        };
        let label = [attempt.outcome.label()];
        let error = attempt.error.as_ref().map(|_| attempt.outcome.label());
        span.finish(attempt.status, error);
        self.metrics.attempts.with_label_values(&label).inc();
        Ok(attempt)
    }
}

fn headers(
    webhook: &webhook::Model,
    message: &WebhookMessage,
    at: DateTime<Utc>,
) -> Result<HeaderMap, Error> {
    let timestamp = at.timestamp();
    let previous = webhook.previous_secret.as_ref();
    let is_valid = webhook
        .previous_secret_until
        .is_some_and(|until| at < until);
    let secrets = [Some(&webhook.secret), previous.filter(|_| is_valid)];
    let signatures = secrets.into_iter().flatten();
    let signatures =
        signatures.map(|secret| signature(secret, &message.id, timestamp, &message.body));
    let signatures: Vec<String> = signatures.collect::<Result<_, _>>()?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in [
        ("webhook-id", message.id.as_str()),
        ("webhook-timestamp", &timestamp.to_string()),
        ("webhook-signature", &signatures.join(" ")),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    Ok(headers)
}
