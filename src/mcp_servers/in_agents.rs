//! The tools of agents name servers, so that an agent is read from its own row. A rename, which is rare, pays for that.

use std::borrow::Cow;

use entity::{agent, mcp_server, tool::ToolList};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
};

use super::queries;
use crate::{
    error::Error,
    search, versions,
    write::{Action, Change, Resource, UnitOfWork},
};

/// Writes the new name of a locked server to the tools of all agents that use it, deleted ones too.
pub(super) async fn rename(
    work: &UnitOfWork,
    server: &mcp_server::Model,
    old_name: &str,
) -> Result<(), Error> {
    let users =
        agent::Entity::find().filter(agent::Column::Id.in_subquery(queries::users_of(server.id)));
    let backend = work.db().get_database_backend();
    for ids in versions::lock(work, users).await? {
        let users = agent::Entity::find()
            .filter(search::among(backend, agent::Column::Id, ids))
            .order_by_asc(agent::Column::Id)
            .all(work.db())
            .await?;
        let mut changed = Vec::with_capacity(users.len());
        for user in users {
            changed.push(rename_in(work, user, old_name, &server.name).await?);
        }
        versions::record(work, changed).await?;
    }
    Ok(())
}

async fn rename_in(
    work: &UnitOfWork,
    user: agent::Model,
    old_name: &str,
    new_name: &str,
) -> Result<agent::Model, Error> {
    let (is_active, deleted_at) = (user.is_active, user.updated_at);
    let row = agent::ActiveModel {
        tools: Set(renamed(&user.tools, old_name, new_name)?),
        version: Set(user.version + 1),
        // The last change of a deleted agent is its deletion: its memberships are found by that time.
        updated_at: if is_active { NotSet } else { Set(deleted_at) },
        ..user.into_active_model()
    };
    let row = row.update(work.db()).await?;
    let change = Change::new(Action::Update, Resource::Agent)
        .id(row.id)
        .name(&row.name)
        .revision(row.revision)
        .fields(["tools"].into_iter().collect());
    work.record(change);
    Ok(row)
}

fn renamed(tools: &ToolList, old_name: &str, new_name: &str) -> Result<ToolList, DbErr> {
    let mut tools = tools.tools()?;
    for tool in &mut tools {
        if tool.server.as_deref() == Some(old_name) {
            tool.server = Some(Cow::Borrowed(new_name));
        }
    }
    ToolList::of(&tools)
}
