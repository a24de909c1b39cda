//! Adding an agent to a circle: the write that a runtime does most.
//!
//! On PostgreSQL it is one statement in the usual case: the agent never was a member, and the circle has
//! room. Otherwise that statement does nothing, and a transaction takes over, which finds out why. On
//! SQLite, where a statement costs no round trip, there is only the transaction.

use std::{collections::HashSet, sync::LazyLock};

use entity::{agent, member};
use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait,
    ActiveValue::{NotSet, Set, Unchanged},
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, IdenStatic, Iterable, QueryFilter,
    QueryOrder, QueryResult, QuerySelect, QueryTrait, Statement,
    sea_query::OnConflict,
};

use super::{
    of_agent::end_of_deleted,
    queries::{change, circle_full, free_places, member_exists, name_of, of_circle},
};
use crate::{
    circles,
    error::Error,
    revision::Precondition,
    rows::{self, Columns},
    search,
    write::{self, Action, Actor, Change, Resource, UnitOfWork},
};

/// What [`add`] does, as one statement for PostgreSQL. `$1` is the agent's id, `$2` the circle's name, and
/// the values of the member and of its audit entry follow.
///
/// The agent is locked before the circle, as everywhere: `circle` counts `agent` only to be evaluated after
/// it. `member_count` is read from the locked row, which PostgreSQL reads again after a wait, so the last
/// place is given away once.
///
/// The comparison of timestamps guards against a pooled connection that is still inside a transaction:
/// there `now()` is older than `statement_timestamp()`. The statement then inserts nothing, and the caller
/// falls back to a real transaction.
static ADD_MEMBER_SQL: LazyLock<String> = LazyLock::new(|| {
    use member::Column;
    let selected = [(Column::AgentId, "$1"), (Column::CircleId, "circle.id")];
    let (insert_member, next) = rows::insert_text::<member::Entity>(&selected, 3);
    let insert_entry = write::entry_sql(next);
    let columns: Vec<&str> = Column::iter().map(|column| column.as_str()).collect();
    let columns = columns.join(", ");
    format!(
        "WITH agent AS (
            SELECT id FROM agents WHERE id = $1 AND is_active FOR SHARE
        ), circle AS (
            SELECT id FROM circles
            WHERE name = $2 AND is_active
                AND (max_members IS NULL OR member_count < max_members)
                AND (SELECT count(*) FROM agent) >= 0
                AND statement_timestamp() - now() < interval '100 ms'
            FOR UPDATE
        ), made AS (
            {insert_member} FROM agent, circle
            ON CONFLICT (circle_id, agent_id) DO NOTHING
            RETURNING {columns}
        ), entry AS (
            {insert_entry}
        )
        SELECT {columns} FROM made"
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
        params: column.next()?,
        is_active: column.next()?,
        joined_at: column.next()?,
        left_at: column.maybe()?,
        revision: column.next()?,
    })
}

/// Adds an agent to a circle in one statement, or does nothing. Safe to repeat. PostgreSQL only.
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
        ..row.before_save(db, true).await?
    };
    let mut values = vec![agent_id.into(), circle.into()];
    values.extend(rows::insert_values(row));
    values.extend(write::entry_values(actor, change));
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, &*ADD_MEMBER_SQL, values);
    let made = db.query_one_raw(statement).await?;
    Ok(made.as_ref().map(read).transpose()?)
}

/// Adds an agent to a circle. The agent is locked, so that it can't be deleted meanwhile, and then the
/// circle, so that two agents can't both take the last place. `may_exist` says that an earlier attempt of
/// [`add_in_one_statement`] may have inserted the row.
pub(super) async fn add(
    work: UnitOfWork,
    circle: &str,
    precondition: &Precondition,
    mut row: member::ActiveModel,
    may_exist: bool,
) -> Result<member::Model, Error> {
    let db = work.db();
    let agent_id = row.agent_id.try_as_ref().copied().unwrap_or_default();
    let locked = lock_agents(db, &[agent_id]).await?;
    let mut circle_row = circles::queries::get_for_update(db, circle).await?;
    precondition.check(circle_row.id, circle_row.revision)?;
    if !locked.contains(&agent_id) {
        return Err(Error::invalid("#/agent_id", "there is no such agent"));
    }
    row.circle_id = Set(circle_row.id);
    if free_places(&circle_row) <= 0 {
        circle_row.member_count -= end_of_deleted(&work, circle_row.id, circle).await?;
    }
    let has_room = free_places(&circle_row) > 0;
    if has_room && let Some(added) = insert(db, row.clone()).await? {
        work.record(change(Action::Create, circle, &added));
        return Ok(added);
    }
    let before = of_circle(circle_row.id)
        .filter(member::Column::AgentId.eq(agent_id))
        .one(db)
        .await?;
    match before {
        // The same microsecond: this is the row of the earlier attempt.
        Some(before) if may_exist && Set(before.joined_at) == row.joined_at => Ok(before),
        Some(before) if before.is_active => Err(member_exists(circle, agent_id)),
        _ if !has_room => Err(circle_full(circle, circle_row.max_members)),
        Some(before) => {
            row.id = Unchanged(before.id);
            row.revision = Unchanged(before.revision);
            let restored = row.update(db).await?;
            work.record(change(Action::Restore, circle, &restored));
            Ok(restored)
        }
        None => Err(member_exists(circle, agent_id)),
    }
}

/// `None` if the agent is or was a member.
async fn insert(
    db: &impl ConnectionTrait,
    row: member::ActiveModel,
) -> Result<Option<member::Model>, Error> {
    let pair = [member::Column::CircleId, member::Column::AgentId];
    let inserted = member::Entity::insert_many([row.before_save(db, true).await?])
        .on_conflict(OnConflict::columns(pair).do_nothing().to_owned())
        .exec_with_returning(db)
        .await?;
    Ok(inserted.into_iter().next())
}

/// Locks agents, and returns which of them exist. SQLite has one writer anyway.
pub(super) async fn lock_agents(
    db: &impl ConnectionTrait,
    ids: &[i64],
) -> Result<HashSet<i64>, Error> {
    let backend = db.get_database_backend();
    // In the order of ids, so that concurrent transactions never wait for each other in a circle.
    let existing = agent::Entity::find_not_deleted()
        .select_only()
        .column(agent::Column::Id)
        .filter(search::among(backend, agent::Column::Id, ids.to_vec()))
        .order_by_asc(agent::Column::Id)
        .lock_shared();
    let rows = db.query_all(&existing.into_query()).await?;
    Ok(rows::ids(&rows)?.into_iter().collect())
}
