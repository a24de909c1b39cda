//! Adding an agent to a circle: the write that a runtime does most.
//!
//! On PostgreSQL it is one statement in the usual case, that nothing is in its way: the agent never
//! was a member, and the circle has room. Else that statement does nothing and doesn't say
//! why, and a transaction takes its place, which finds out. On SQLite, where a statement is no round
//! trip, the transaction is all there is.

use std::{collections::HashSet, sync::LazyLock};

use entity::{agent, member};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set, Unchanged},
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, IdenStatic, Iterable, QueryFilter,
    QueryResult, QuerySelect, QueryTrait, Statement,
    sea_query::OnConflict,
};

use super::queries::{change, exists, full, name_of, of_circle};
use crate::{
    circles,
    error::Error,
    rows::{self, Columns},
    search,
    write::{self, Action, Actor, Change, Resource, UnitOfWork},
};

/// All that [`add`] does, in the same order: the models are counted so that they are held before the
/// circle. The agent is `$1`, the circle's name `$2`. How many members there are is read in the row of
/// the circle, which PostgreSQL looks at again where it had to wait for it.
///
/// By a session that was left in a transaction by mistake it would never be committed. Such a
/// transaction is older than the moment between its start and this statement's, and nothing is done.
static ADD_MEMBER_SQL: LazyLock<String> = LazyLock::new(|| {
    let elsewhere = [
        (member::Column::AgentId, "$1"),
        (member::Column::CircleId, "circle.id"),
    ];
    let (insert, next) = rows::insert_text::<member::Entity>(&elsewhere, 3);
    let leave = write::entry_sql(next);
    let columns: Vec<&str> = member::Column::iter()
        .map(|column| column.as_str())
        .collect();
    format!(
        "WITH agent AS (SELECT model_id FROM agents WHERE id = $1 AND is_active FOR SHARE), \
         model AS (SELECT o.id FROM models o JOIN providers p ON p.id = o.provider_id \
         WHERE o.id = (SELECT model_id FROM agent) FOR SHARE), \
         circle AS (SELECT id FROM circles WHERE name = $2 AND is_active \
         AND (max_members IS NULL OR member_count < max_members) AND (SELECT count(*) FROM model) >= 0 \
         AND statement_timestamp() - now() < interval '100 ms' FOR UPDATE), \
         made AS ({insert} FROM agent, circle \
         ON CONFLICT (circle_id, agent_id) DO NOTHING RETURNING {columns}), \
         left_behind AS ({leave}) SELECT {columns} FROM made",
        columns = columns.join(", ")
    )
});

/// A row of [`ADD_MEMBER_SQL`].
fn read(row: &QueryResult) -> Result<member::Model, DbErr> {
    let mut column = Columns::of(row);
    Ok(member::Model {
        id: column.next()?,
        circle_id: column.next()?,
        agent_id: column.next()?,
        role: column.next()?,
        competencies: column.next()?,
        can_review: column.next()?,
        permissions: column.next()?,
        temperature: column.maybe()?,
        max_tokens: column.maybe()?,
        is_active: column.next()?,
        joined_at: column.next()?,
        left_at: column.maybe()?,
        revision: column.next()?,
    })
}

/// Adds an agent to a circle in one statement, or else does nothing; for PostgreSQL.
pub(super) async fn add_in_one_statement(
    db: &impl ConnectionTrait,
    actor: &Actor,
    circle: &str,
    agent_id: i64,
    row: member::ActiveModel,
) -> Result<Option<member::Model>, Error> {
    let change = Change::new(Action::Create, Resource::Member).name(name_of(circle, agent_id));
    let row = member::ActiveModel {
        agent_id: NotSet,
        ..row
    };
    let mut values = vec![agent_id.into(), circle.into()];
    values.extend(rows::insert_values(row));
    values.extend(write::entry_values(actor, change));
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, &*ADD_MEMBER_SQL, values);
    let made = db.query_one_raw(statement).await?;
    Ok(made.as_ref().map(read).transpose()?)
}

/// Adds an agent to a circle. The circle is held meanwhile, so that two agents can't both take the
/// last place, and so is the agent, so that it can't be deleted in between; agents before circles, as
/// by everyone who takes both. `may_exist` is whether the same row may be there from [`add_in_one_statement`].
pub(super) async fn add(
    work: &UnitOfWork,
    circle: &str,
    agent_id: i64,
    mut row: member::ActiveModel,
    may_exist: bool,
) -> Result<member::Model, Error> {
    let db = work.db();
    let held = lock_agents(db, &[agent_id]).await;
    let circle_row = circles::queries::get_for_update(db, circle).await?;
    if !held?.contains(&agent_id) {
        return Err(Error::invalid("#/agent_id", "there is no such agent"));
    }
    row.circle_id = Set(circle_row.id);
    let is_reached = |limit: &i32| circle_row.member_count >= i64::from(*limit);
    let reached_limit = circle_row.max_members.filter(is_reached);
    if reached_limit.is_none()
        && let Some(added) = insert(db, row.clone()).await?
    {
        work.record(change(Action::Create, circle, &added));
        return Ok(added);
    }
    let before = of_circle(circle_row.id)
        .filter(member::Column::AgentId.eq(agent_id))
        .one(db)
        .await?;
    let before = match before {
        // It is this very addition, by its microsecond.
        Some(before) if may_exist && Set(before.joined_at) == row.joined_at => return Ok(before),
        Some(before) if before.is_active => return Err(exists(circle, agent_id)),
        before => before,
    };
    if let Some(limit) = reached_limit {
        return Err(full(&circle_row, limit));
    }
    let before = before.ok_or_else(|| exists(circle, agent_id))?;
    let added = restore(db, before, row).await?;
    work.record(change(Action::Restore, circle, &added));
    Ok(added)
}

async fn restore(
    db: &impl ConnectionTrait,
    before: member::Model,
    mut row: member::ActiveModel,
) -> Result<member::Model, DbErr> {
    row.id = Unchanged(before.id);
    row.revision = Set(before.revision + 1);
    row.update(db).await
}

/// `None` where the agent is or was a member.
async fn insert(
    db: &impl ConnectionTrait,
    row: member::ActiveModel,
) -> Result<Option<member::Model>, Error> {
    let pair = [member::Column::CircleId, member::Column::AgentId];
    let inserted = member::Entity::insert_many([row])
        .on_conflict(OnConflict::columns(pair).do_nothing().to_owned())
        .exec_with_returning(db)
        .await?;
    Ok(inserted.into_iter().next())
}

/// Holds agents, their models and providers against changes by others: what is added shows them.
/// Answers which of the agents exist. On SQLite whoever writes is alone.
pub(super) async fn lock_agents(
    db: &impl ConnectionTrait,
    ids: &[i64],
) -> Result<HashSet<i64>, Error> {
    const HOLD: &str = "WITH agent AS MATERIALIZED (SELECT id, model_id FROM agents \
        WHERE id = ANY(CAST($1 AS bigint[])) AND is_active ORDER BY id FOR SHARE), \
        model AS MATERIALIZED (SELECT o.id FROM models o JOIN providers p ON p.id = o.provider_id \
        WHERE o.id IN (SELECT model_id FROM agent) ORDER BY o.id FOR SHARE) \
        SELECT agent.id FROM agent, (SELECT count(*) FROM model) AS held";
    let rows = if db.get_database_backend() == DbBackend::Sqlite {
        let live = agent::Entity::find()
            .select_only()
            .column(agent::Column::Id)
            .filter(agent::Column::Id.is_in(ids.iter().copied()))
            .filter(search::is_true(agent::Column::IsActive));
        db.query_all(&live.into_query()).await?
    } else {
        let ids = search::list_of_ids(DbBackend::Postgres, ids.iter().copied());
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, HOLD, [ids.into()]);
        db.query_all_raw(statement).await?
    };
    let ids = rows.iter().map(|row| row.try_get_by_index(0));
    Ok(ids.collect::<Result<_, DbErr>>()?)
}
