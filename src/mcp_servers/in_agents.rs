//! The tools of agents name servers, so that an agent is read from its own row. A rename, which is rare, pays for that.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use entity::{agent, mcp_server, tool::ToolList};
use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait,
    ActiveValue::{NotSet, Set, Unchanged},
    ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::LockType,
};

use super::queries;
use crate::{
    error::Error,
    write::{Action, Change, Resource, UnitOfWork},
};

/// How many ids of agents are read at once.
const PAGE: u64 = 1_000;

/// Writes the new name of a locked server to the tools of all agents that use it, deleted ones too. One agent is in memory
/// at a time: its tools may be large.
pub(super) async fn rename(
    work: &UnitOfWork,
    server: &mcp_server::Model,
    old_name: &str,
) -> Result<(), Error> {
    let mut last = 0;
    loop {
        let users: Vec<i64> = agent::Entity::find()
            .select_only()
            .column(agent::Column::Id)
            .filter(agent::Column::Id.in_subquery(queries::users_of(server.id)))
            .filter(agent::Column::Id.gt(last))
            .order_by_asc(agent::Column::Id)
            .limit(PAGE)
            .into_tuple()
            .all(work.db())
            .await?;
        let Some(id) = users.last() else {
            return Ok(());
        };
        last = *id;
        for id in users {
            rename_in(work, id, old_name, &server.name).await?;
        }
    }
}

async fn rename_in(
    work: &UnitOfWork,
    id: i64,
    old_name: &str,
    new_name: &str,
) -> Result<(), Error> {
    use agent::Column::{IsActive, Name, Revision, Tools, UpdatedAt};
    let user: Option<(String, i64, ToolList, bool, DateTime<Utc>)> = agent::Entity::find_by_id(id)
        .select_only()
        .columns([Name, Revision, Tools, IsActive, UpdatedAt])
        .lock(LockType::NoKeyUpdate)
        .into_tuple()
        .one(work.db())
        .await?;
    let Some((name, revision, tools, is_active, updated_at)) = user else {
        return Ok(());
    };
    let tools = renamed(&tools, old_name, new_name);
    let row = agent::ActiveModel {
        tools: Set(tools.map_err(|error| DbErr::Json(error.to_string()))?),
        revision: Unchanged(revision),
        // The last change of a deleted agent is its deletion: its memberships are found by that time.
        updated_at: if is_active { NotSet } else { Set(updated_at) },
        ..ActiveModelTrait::default()
    };
    let row = row.before_save(work.db(), false).await?;
    let revision = row.revision.try_as_ref().copied().unwrap_or(revision);
    let change = Change::new(Action::Update, Resource::Agent)
        .id(id)
        .name(name)
        .revision(revision)
        .fields(["tools"].into_iter().collect());
    work.record(change);
    agent::Entity::update_many()
        .set(row)
        .filter(agent::Column::Id.eq(id))
        .exec(work.db())
        .await?;
    Ok(())
}

fn renamed(
    tools: &ToolList,
    old_name: &str,
    new_name: &str,
) -> Result<ToolList, serde_json::Error> {
    let mut tools = tools.tools()?;
    for tool in &mut tools {
        if tool.server.as_deref() == Some(old_name) {
            tool.server = Some(Cow::Borrowed(new_name));
        }
    }
    ToolList::of(&tools)
}
