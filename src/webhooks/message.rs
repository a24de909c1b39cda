//! What is sent: one change, as the feed shows it.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use entity::values::now;
use sea_orm::QueryResult;
use serde::Serialize;

use crate::{
    changes::{ChangeCursor, ChangeRow},
    error::Error,
    rows::{self, Columns, Timestamp},
};

/// One message, which stays the same however often it is sent.
#[derive(Debug)]
pub(super) struct WebhookMessage {
    /// The `webhook-id`.
    pub(super) id: String,
    pub(super) event: String,
    /// Where the change is in the feed; `None` for a test.
    pub(super) change: Option<ChangeCursor>,
    /// When the change was made.
    pub(super) at: DateTime<Utc>,
    pub(super) body: Bytes,
}

/// The body, by the specification.
#[derive(Serialize)]
struct Payload<'p, D> {
    #[serde(rename = "type")]
    event: &'p str,
    timestamp: Timestamp<'static>,
    data: D,
}

/// The event of a test.
pub(super) const TEST: &str = "webhook.test";

/// What a test says in place of a change.
#[derive(Serialize)]
struct TestData {
    webhook_id: i64,
}

impl WebhookMessage {
    /// Reads the row of a change.
    pub(super) fn of_change(row: &QueryResult) -> Result<Self, Error> {
        let cursor = ChangeCursor::of(&mut Columns::of(row))?;
        let change = ChangeRow::read(&mut Columns::of(row))?;
        let event = format!("{}.{}", change.resource.as_str(), change.action.as_str());
        Self::new(cursor.encode(), event, Some(cursor), cursor.at, change)
    }

    pub(super) fn test(webhook_id: i64) -> Result<Self, Error> {
        let id = format!("test_{}", uuid::Uuid::now_v7().simple());
        Self::new(id, TEST.to_owned(), None, now(), TestData { webhook_id })
    }

    fn new(
        id: String,
        event: String,
        change: Option<ChangeCursor>,
        at: DateTime<Utc>,
        data: impl Serialize,
    ) -> Result<Self, Error> {
        const BYTES: usize = 1 << 9;
        let payload = Payload {
            event: &event,
            timestamp: Timestamp::Decoded(at),
            data,
        };
        let body = rows::to_json(&payload, BYTES)?.into();
        Ok(Self {
            id,
            event,
            change,
            at,
            body,
        })
    }
}
