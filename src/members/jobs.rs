//! Ending or restoring the memberships of an agent that are too many for one transaction.
//!
//! The transaction that deletes or restores the agent leaves a row in `membership_jobs`. Every instance looks for such
//! rows and does a batch at a time, each in a transaction of its own that also says how far it is, so another
//! instance continues after one that was killed. The memberships of a deleted agent are hidden in the meantime because
//! their agent is deleted; only the counts of members still include them.
//!
//! A job is only changed by who has locked its row. A deletion and a restoration lock the agent before it, a batch locks
//! no agent, so they never wait for each other in a circle.

use std::{convert::Infallible, time::Duration};

use chrono::{DateTime, Utc};
use entity::{agent, audit_entry, member, membership_job};
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, ModelTrait,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait, Statement,
    sea_query::{ExprTrait, LockBehavior, LockType, SelectStatement},
};

use super::of_agent;
use crate::{
    database::Database,
    error::Error,
    search,
    write::{self, Action, Actor, Caller, Resource, UnitOfWork},
};

/// Memberships in one transaction. Other writers in their circles wait for it.
pub(super) const BATCH: u64 = 250;

/// How many memberships of an agent its deletion or restoration changes in its own transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MembershipsAtOnce(pub(crate) u64);

/// A job that restores stays one if the agent is deleted again: it ends the memberships afterwards.
const SCHEDULE: &str = "INSERT INTO membership_jobs (agent_id, restores, ended_at) VALUES ($1, $2, $3)
    ON CONFLICT (agent_id) DO UPDATE SET
        restores = membership_jobs.restores OR excluded.restores,
        after_member_id = CASE WHEN membership_jobs.restores THEN membership_jobs.after_member_id ELSE 0 END";

/// Leaves it to a job to restore or to end the memberships of an agent that was deleted at this time.
pub(super) async fn schedule(
    db: &impl ConnectionTrait,
    agent_id: i64,
    restores: bool,
    deleted_at: DateTime<Utc>,
) -> Result<(), DbErr> {
    let values = [agent_id.into(), restores.into(), deleted_at.into()];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), SCHEDULE, values);
    db.execute_raw(statement).await?;
    Ok(())
}

/// The agents whose memberships are being ended or restored.
pub(crate) fn agents() -> SelectStatement {
    membership_job::Entity::find()
        .select_only()
        .column(membership_job::Column::AgentId)
        .into_query()
}

/// Does what is to be done, now and whenever there is more.
pub(crate) async fn run(database: &Database, interval: Duration) -> Infallible {
    let mut failed = false;
    loop {
        tokio::time::sleep(interval).await;
        let outcome = run_all(database).await;
        if let Err(cause) = &outcome
            && !failed
        {
            tracing::warn!(%cause, "memberships of deleted or restored agents wait");
        }
        failed = outcome.is_err();
    }
}

async fn run_all(database: &Database) -> Result<(), Error> {
    loop {
        let jobs = membership_job::Entity::find().order_by_asc(membership_job::Column::AgentId);
        let Some(job) = jobs.one(database.connection()).await? else {
            return Ok(());
        };
        let actor = actor_of(database.connection(), &job).await?;
        if !write::run(database, &actor, |work| run_batch(work, job.agent_id)).await? {
            return Ok(());
        }
    }
}

/// Who deleted or restored the agent, for the entries of its memberships.
async fn actor_of(db: &impl ConnectionTrait, job: &membership_job::Model) -> Result<Actor, DbErr> {
    use audit_entry::Column;
    let entry: Option<(Option<i64>, Option<String>, Option<String>)> = audit_entry::Entity::find()
        .select_only()
        .columns([Column::KeyId, Column::RequestId, Column::ClientAddress])
        .filter(Column::ResourceId.eq(job.agent_id))
        .filter(Column::Resource.eq(Resource::Agent.as_str()))
        .filter(Column::Action.eq(action_of(job).as_str()))
        .order_by_desc(Column::Id)
        .into_tuple()
        .one(db)
        .await?;
    let (key_id, request_id, client_address) = entry.unwrap_or_default();
    Ok(Actor {
        caller: key_id.map_or(Caller::Anyone, Caller::Key),
        request_id,
        client_address: client_address.and_then(|address| address.parse().ok()),
        ..Actor::default()
    })
}

fn action_of(job: &membership_job::Model) -> Action {
    if job.restores {
        Action::Restore
    } else {
        Action::Delete
    }
}

/// Does the next batch, or the end of the job. False if another instance is at it.
async fn run_batch(work: UnitOfWork, agent_id: i64) -> Result<bool, Error> {
    let db = work.db();
    let job = membership_job::Entity::find_by_id(agent_id)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .one(db)
        .await?;
    let Some(job) = job else {
        return Ok(false);
    };
    let ids = next_members(db, &job).await?;
    let Some(last) = ids.last().copied() else {
        finish(db, job).await?;
        return Ok(true);
    };
    let among = search::among(db.get_database_backend(), member::Column::Id, ids);
    let which = undone(&job).add(among);
    if job.restores {
        of_agent::restore_where_there_is_room(&work, which).await?;
    } else {
        of_agent::end(&work, which, job.ended_at).await?;
    }
    let progress = membership_job::ActiveModel {
        after_member_id: Set(last),
        ..job.into_active_model()
    };
    membership_job::Entity::update(progress).exec(db).await?;
    Ok(true)
}

/// The memberships that a job has to change.
fn undone(job: &membership_job::Model) -> Condition {
    let of_agent = Condition::all().add(member::Column::AgentId.eq(job.agent_id));
    if job.restores {
        of_agent
            .add(member::Entity::active().not())
            .add(member::Column::LeftAt.eq(job.ended_at))
    } else {
        of_agent.add(member::Entity::active())
    }
}

async fn next_members(
    db: &impl ConnectionTrait,
    job: &membership_job::Model,
) -> Result<Vec<i64>, DbErr> {
    member::Entity::find()
        .select_only()
        .column(member::Column::Id)
        .filter(undone(job))
        .filter(member::Column::Id.gt(job.after_member_id))
        .order_by_asc(member::Column::Id)
        .limit(BATCH)
        .into_tuple()
        .all(db)
        .await
}

/// Removes the job. One that restored the memberships of an agent that was deleted meanwhile now ends them.
async fn finish(db: &impl ConnectionTrait, job: membership_job::Model) -> Result<(), DbErr> {
    let deleted = agent::Entity::find_by_id(job.agent_id)
        .filter(agent::Column::IsActive.eq(false))
        .one(db)
        .await?;
    let Some(agent_row) = deleted.filter(|_| job.restores) else {
        return job.delete(db).await.map(|_| ());
    };
    let ending = membership_job::ActiveModel {
        agent_id: Unchanged(job.agent_id),
        restores: Set(false),
        ended_at: Set(agent_row.updated_at),
        after_member_id: Set(0),
    };
    membership_job::Entity::update(ending).exec(db).await?;
    Ok(())
}
