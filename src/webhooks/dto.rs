//! What webhooks look like on the wire.

use entity::{values::StringList, webhook, webhook_attempt, webhook_values::PauseReason};
use poem_openapi::Object;
use sea_orm::ActiveValue::{NotSet, Set};
use serde::Serialize;

use super::{message::WebhookMessage, sender::Attempt};
use crate::{
    http::input,
    rows::{Json, Text, Timestamp, row},
};

row! {
    /// A receiver of changes by HTTP. Its secret is shown only once, in the response that makes it.
    #[derive(Debug, Object, Serialize)]
    #[oai(rename = "Webhook")]
    pub(crate) struct WebhookRow<'r> of webhook without secret, previous_secret, revision {
        /// Assigned by the service.
        pub(crate) id: i64,
        /// What the webhook is for.
        pub(crate) name: Text<'r>,
        /// More about it.
        #[oai(nullable)]
        pub(crate) description: Option<Text<'r>>,
        /// Where the changes are sent.
        pub(crate) url: Text<'r>,
        /// The kinds of resources whose changes are sent; empty for all.
        pub(crate) resources: Json<'r, StringList>,
        /// The actions that are sent; empty for all.
        pub(crate) actions: Json<'r, StringList>,
        /// The circle whose changes are sent; null for all changes.
        #[oai(nullable)]
        pub(crate) circle_id: Option<i64>,
        /// Whether changes are sent.
        pub(crate) is_enabled: bool,
        /// Until when messages are signed with the secret before, too (UTC); null if it was never replaced with an overlap.
        #[oai(nullable)]
        pub(crate) previous_secret_until: Option<Timestamp<'r>>,
        /// Since when the service sends nothing, until the webhook is resumed (UTC); null if it is not paused.
        #[oai(nullable)]
        pub(crate) paused_at: Option<Timestamp<'r>>,
        /// Why it is paused.
        #[oai(nullable)]
        pub(crate) pause_reason: Option<PauseReason>,
        /// When it was created (UTC).
        pub(crate) created_at: Timestamp<'r>,
        /// When it was last changed (UTC).
        pub(crate) updated_at: Timestamp<'r>,
    }
}

/// A row that owns its values.
pub(crate) type Webhook = WebhookRow<'static>;

input! {
    webhook;
    /// A webhook to create.
    create WebhookCreate;
    /// Changes to a webhook. Lists are replaced as a whole.
    update WebhookUpdate;
    required {
        /// What the webhook is for; need not be unique.
        #[oai(validator(min_length = 1, max_length = 200))]
        name: String,
        /// Where to send changes: an absolute URL with https, without user name, password or fragment. All addresses that its host
        /// has must be public, unless the service's settings allow them.
        #[oai(validator(
            max_length = 2048,
            pattern = "^https?://[!$-.0-;=A-\\[\\]-~]+([/?][!$-~]*)?$"
        ))]
        url: String,
    }
    nullable {
        /// More about it.
        #[oai(validator(min_length = 1, max_length = 5000))]
        description: String,
        /// Only changes of the circle with this id, and of its members, releases, labels and conversations.
        #[oai(validator(minimum(value = "1")))]
        circle_id: i64,
    }
    defaulted {
        /// Only changes of these kinds of resources, as `agent` or `catalog`; empty for all.
        resources: StringList,
        /// Only these actions, as `create` or `delete`; empty for all.
        actions: StringList,
        /// Whether to send changes. Defaults to true. What is not sent meanwhile is sent later.
        is_enabled: bool = "yes",
    }
    row {
        id: NotSet,
        secret: NotSet,
        previous_secret: Set(None),
        previous_secret_until: Set(None),
        paused_at: Set(None),
        pause_reason: Set(None),
        created_at: NotSet,
        updated_at: NotSet,
        revision: NotSet,
    }
}

fn yes() -> bool {
    true
}

/// A webhook, and its new secret.
#[derive(Object, Serialize)]
pub(crate) struct WebhookWithSecret {
    /// What messages are signed with from now on, for libraries of the Standard Webhooks specification: `whsec_` and Base64. It
    /// is shown here and never again.
    pub(crate) secret: String,
    /// The webhook.
    pub(crate) webhook: Webhook,
}

impl From<webhook::Model> for WebhookWithSecret {
    fn from(row: webhook::Model) -> Self {
        Self {
            secret: row.secret.reveal().to_owned(),
            webhook: row.into(),
        }
    }
}

row! {
    /// An attempt to deliver a message.
    #[derive(Debug, Object, Serialize)]
    #[oai(rename = "WebhookAttempt")]
    pub(crate) struct WebhookAttemptRow<'r> of webhook_attempt without webhook_id {
        /// Assigned by the service.
        pub(crate) id: i64,
        /// When it began (UTC).
        pub(crate) at: Timestamp<'r>,
        /// The message's `webhook-id`, which is the same in all attempts for one change.
        pub(crate) message_id: Text<'r>,
        /// The message's `type`: the resource and the action, as `agent.create`, or `webhook.test`.
        pub(crate) event: Text<'r>,
        /// The change's cursor in the feed; null for a test.
        #[oai(nullable)]
        pub(crate) change: Option<Text<'r>>,
        /// The receiver's status; null if none came.
        #[oai(nullable)]
        pub(crate) status: Option<i32>,
        /// How long it took, in milliseconds.
        pub(crate) duration_ms: i64,
        /// Why it failed; null if it succeeded.
        #[oai(nullable)]
        pub(crate) error: Option<Text<'r>>,
    }
}

/// A row that owns its values.
pub(crate) type WebhookAttempt = WebhookAttemptRow<'static>;

/// How the receiver answered a test.
#[derive(Object, Serialize)]
pub(crate) struct WebhookTest {
    /// The message's `webhook-id`.
    pub(crate) message_id: String,
    /// The receiver's status; null if none came. 200 to 299 is a success.
    #[oai(nullable)]
    pub(crate) status: Option<i32>,
    /// How long it took, in milliseconds.
    pub(crate) duration_ms: i64,
    /// Why it failed; null if it succeeded.
    #[oai(nullable)]
    pub(crate) error: Option<String>,
    /// The first two KiB of the receiver's response.
    pub(crate) excerpt: String,
}

impl WebhookTest {
    pub(super) fn of(message: &WebhookMessage, attempt: Attempt) -> Self {
        Self {
            message_id: message.id.clone(),
            status: attempt.status.map(Into::into),
            duration_ms: i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX),
            error: attempt.error,
            excerpt: attempt.excerpt,
        }
    }
}
