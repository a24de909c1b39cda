//! How far the delivery of each webhook is, and which instance delivers it. A table of its own, because it changes with
//! every message, and a webhook's revision does not.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_deliveries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub webhook_id: i64,
    /// The place in the feed of changes up to which all is delivered.
    pub cursor: String,
    /// When the first of the attempts was made that have failed since the last success.
    pub failing_since: Option<DateTimeUtc>,
    /// How many attempts have failed since then.
    pub failures: i64,
    pub next_attempt_at: Option<DateTimeUtc>,
    /// The instance that delivers.
    pub holder: Option<String>,
    /// By the database's clock: then another instance may deliver. Only statements read it.
    pub leased_until: Option<DateTimeUtc>,
    #[sea_orm(belongs_to, from = "webhook_id", to = "id")]
    pub webhook: BelongsTo<super::webhook::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
