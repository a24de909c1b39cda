//! Membership jobs: an agent's memberships, too many for one transaction, that are being ended or restored.
//!
//! Those of a deleted agent are hidden by the join with it, so what is under way shows only in counts. There is at most
//! one job for an agent.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "membership_jobs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub agent_id: i64,
    /// Whether memberships are restored, and not ended.
    pub restores: bool,
    /// When the agent was deleted, which is when the memberships ended.
    pub ended_at: DateTimeUtc,
    /// The memberships up to this one are done.
    pub after_member_id: i64,
}

impl ActiveModelBehavior for ActiveModel {}
