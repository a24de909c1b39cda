//! The memberships of an agent may be ended, or restored, after the transaction that deletes or restores the agent.
//!
//! A row of `membership_jobs` says that this is under way. Until it is done, the memberships of a deleted agent are
//! hidden because their agent is deleted, so a change of `agents.is_active` changes rosters now, and sets the revision of
//! their circles or of the catalogue.

use sea_orm_migration::{prelude::*, schema::*};

use crate::{ddl, m20261126_000001_order_revisions_by_time as revisions};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut agent = ForeignKey::create()
            .name("membership_jobs_agent_fk")
            .from("membership_jobs", "agent_id")
            .to("agents", "id")
            .on_delete(ForeignKeyAction::Cascade)
            .to_owned();
        let jobs = Table::create()
            .table("membership_jobs")
            .col(big_integer("agent_id").primary_key())
            .col(boolean("restores"))
            .col(timestamp_with_time_zone("ended_at"))
            .col(big_integer("after_member_id").default(0))
            .foreign_key(&mut agent)
            .to_owned();
        manager.create_table(jobs).await?;
        revisions::watch_agents(manager, &watched_columns(), revisions::FIRST_FAN_OUT).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        revisions::watch_agents(manager, &revisions::AGENT, revisions::FIRST_FAN_OUT).await?;
        ddl::drop_table(manager, "membership_jobs").await
    }
}

/// The columns of an agent that decide what a roster shows.
pub(crate) fn watched_columns() -> Vec<&'static str> {
    [&revisions::AGENT[..], &["is_active"]].concat()
}
