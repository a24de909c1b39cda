//! Attempts to deliver: the last ones of each webhook.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_attempts")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub webhook_id: i64,
    pub at: DateTimeUtc,
    /// The message's `webhook-id`.
    pub message_id: String,
    /// As in the message, `agent.create`.
    pub event: String,
    /// The cursor of the change; null for a test.
    pub change: Option<String>,
    /// The receiver's status; null if it did not answer.
    pub status: Option<i32>,
    pub duration_ms: i64,
    /// Why it failed.
    pub error: Option<String>,
    #[sea_orm(belongs_to, from = "webhook_id", to = "id")]
    pub webhook: BelongsTo<super::webhook::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
