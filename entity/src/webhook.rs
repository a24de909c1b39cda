//! Webhooks: who receives which changes, and what the messages are signed with.

use sea_orm::entity::prelude::*;

use crate::{
    values::StringList,
    webhook_values::{PauseReason, SigningSecret},
};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhooks")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub name: String,
    pub description: Option<String>,
    pub url: String,
    /// The kinds of resources whose changes are told; empty for all.
    pub resources: StringList,
    /// The actions that are told; empty for all.
    pub actions: StringList,
    /// Not a foreign key: a webhook outlives the circle that it follows, as the feed of its changes does.
    pub circle_id: Option<i64>,
    pub is_enabled: bool,
    pub secret: SigningSecret,
    /// The secret before, with which messages are signed too until `previous_secret_until`.
    pub previous_secret: Option<SigningSecret>,
    pub previous_secret_until: Option<DateTimeUtc>,
    pub paused_at: Option<DateTimeUtc>,
    pub pause_reason: Option<PauseReason>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    /// Grows with every change.
    pub revision: i64,
    #[sea_orm(has_one)]
    pub delivery: HasOne<super::webhook_delivery::Entity>,
}

crate::revision::versioned!();
