//! Reads and writes of memberships. Leaving ends a membership and coming back revives it, so that
//! an agent has one row in a circle for good.

use std::collections::HashSet;

use entity::{
    agent, circle, member,
    values::{MemberRole, now},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{Set, Unchanged},
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, PaginatorTrait, QueryFilter,
    QuerySelect, QueryTrait, Select, Statement,
    sea_query::OnConflict,
};

use crate::{
    audit::{Action, Change, Fields, Resource},
    circles,
    error::Error,
    page::{self, Page, PageRequest},
    revision::Expected,
    search,
    write::Work,
};

pub(crate) fn change(action: Action, circle: &str, row: &member::Model) -> Change {
    Change::new(action, Resource::Member)
        .id(row.id)
        .name(format!("{circle}/{}", row.agent_id))
        .revision(row.revision)
}

/// Which members a list shows.
#[derive(Debug, Default)]
pub(crate) struct MemberFilter {
    pub(crate) role: Option<MemberRole>,
    pub(crate) include_inactive: bool,
}

pub(crate) async fn list(
    db: &impl ConnectionTrait,
    circle: &str,
    filter: MemberFilter,
    page: PageRequest,
) -> Result<Page<member::Model>, Error> {
    let MemberFilter {
        role,
        include_inactive,
    } = filter;
    let circle_row = circles::queries::get(db, circle).await?;
    let query = of_circle(circle_row.id)
        .apply_if(role, |query, role| {
            query.filter(member::Column::Role.eq(role))
        })
        .apply_if((!include_inactive).then_some(()), |query, ()| {
            query.filter(search::is_true(member::Column::IsActive))
        });
    page::fetch(
        db,
        query,
        member::Column::Id,
        page,
        |row: &member::Model| row.id,
    )
    .await
}

pub(super) fn of_circle(circle_id: i64) -> Select<member::Entity> {
    member::Entity::find().filter(member::Column::CircleId.eq(circle_id))
}

pub(crate) async fn count_active(db: &impl ConnectionTrait, circle_id: i64) -> Result<i64, Error> {
    let count = of_circle(circle_id)
        .filter(search::is_true(member::Column::IsActive))
        .count(db)
        .await?;
    Ok(i64::try_from(count).unwrap_or(i64::MAX))
}

/// An active membership.
pub(crate) async fn get(
    db: &impl ConnectionTrait,
    circle: &str,
    agent_id: i64,
) -> Result<member::Model, Error> {
    let circle_row = circles::queries::get(db, circle).await?;
    of_circle(circle_row.id)
        .filter(member::Column::AgentId.eq(agent_id))
        .filter(search::is_true(member::Column::IsActive))
        .one(db)
        .await?
        .ok_or_else(|| unknown(circle, agent_id))
}

/// Adds an agent to a circle. The circle is held meanwhile, so that two agents can't both take the
/// last place, and so is the agent, so that it can't be deleted in between; agents before circles, as
/// by everyone who takes both.
pub(crate) async fn add(
    work: &Work,
    circle: &str,
    agent_id: i64,
    mut row: member::ActiveModel,
) -> Result<member::Model, Error> {
    let db = work.db();
    let held = hold_agents(db, &[agent_id]).await;
    let circle_row = circles::queries::get_for_update(db, circle).await?;
    if !held?.contains(&agent_id) {
        return Err(Error::invalid("#/agent_id", "there is no such agent"));
    }
    row.circle_id = Set(circle_row.id);
    let added = if circle_row.max_members.is_none() {
        insert(db, row.clone()).await?
    } else {
        None
    };
    let (action, added) = match added {
        Some(added) => (Action::Create, added),
        None => add_where_room(db, &circle_row, agent_id, row).await?,
    };
    work.note(change(action, circle, &added));
    Ok(added)
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

/// Adds an agent that may have been a member before to a circle that may be full.
async fn add_where_room(
    db: &impl ConnectionTrait,
    circle_row: &circle::Model,
    agent_id: i64,
    mut row: member::ActiveModel,
) -> Result<(Action, member::Model), Error> {
    let before = of_circle(circle_row.id)
        .filter(member::Column::AgentId.eq(agent_id))
        .one(db)
        .await?;
    if before.as_ref().is_some_and(|before| before.is_active) {
        return Err(exists(&circle_row.name, agent_id));
    }
    refuse_if_full(db, circle_row).await?;
    let Some(before) = before else {
        let added = insert(db, row).await?;
        let added = added.ok_or_else(|| exists(&circle_row.name, agent_id))?;
        return Ok((Action::Create, added));
    };
    row.id = Unchanged(before.id);
    row.revision = Set(before.revision + 1);
    Ok((Action::Restore, row.update(db).await?))
}

/// Holds agents, their models and providers against changes by others: what is added shows them.
/// Answers which of the agents exist. On SQLite whoever writes is alone.
pub(super) async fn hold_agents(
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

async fn refuse_if_full(
    db: &impl ConnectionTrait,
    circle_row: &circle::Model,
) -> Result<(), Error> {
    let Some(limit) = circle_row.max_members else {
        return Ok(());
    };
    if count_active(db, circle_row.id).await? < i64::from(limit) {
        return Ok(());
    }
    Err(full(circle_row, limit))
}

/// Changes the columns that are set.
pub(crate) async fn update(
    work: &Work,
    circle: &str,
    agent_id: i64,
    expected: &Expected,
    row: member::ActiveModel,
) -> Result<member::Model, Error> {
    let fields = Fields::set_in(&row);
    if fields.is_empty() {
        let row = get(work.db(), circle, agent_id).await?;
        expected.check(row.id, row.revision)?;
        return Ok(row);
    }
    let row = change_active(work, circle, agent_id, expected, row).await?;
    work.note(change(Action::Update, circle, &row).fields(fields));
    Ok(row)
}

/// Ends a membership.
pub(crate) async fn remove(
    work: &Work,
    circle: &str,
    agent_id: i64,
    expected: &Expected,
) -> Result<(), Error> {
    let row = change_active(work, circle, agent_id, expected, ended()).await?;
    work.note(change(Action::Delete, circle, &row));
    Ok(())
}

/// What changes when a membership ends.
pub(super) fn ended() -> member::ActiveModel {
    member::ActiveModel {
        is_active: Set(false),
        left_at: Set(Some(now())),
        ..ActiveModelTrait::default()
    }
}

/// The circle is held first, as by everyone who writes members, so that no two wait for each other.
async fn change_active(
    work: &Work,
    circle: &str,
    agent_id: i64,
    expected: &Expected,
    mut row: member::ActiveModel,
) -> Result<member::Model, Error> {
    let db = work.db();
    circles::queries::get_for_update(db, circle).await?;
    let before = get(db, circle, agent_id).await?;
    expected.check(before.id, before.revision)?;
    row.id = Unchanged(before.id);
    row.revision = Set(before.revision + 1);
    Ok(row.update(db).await?)
}

pub(super) fn unknown(circle: &str, agent_id: i64) -> Error {
    Error::not_found("member", format!("{agent_id} of circle {circle}"))
}

pub(super) fn exists(circle: &str, agent_id: i64) -> Error {
    Error::conflict(
        "member_exists",
        format!("agent {agent_id} is a member of circle {circle} already"),
    )
}

pub(super) fn full(circle_row: &circle::Model, limit: i32) -> Error {
    Error::conflict(
        "circle_full",
        format!("circle {} has all of its {limit} members", circle_row.name),
    )
}
