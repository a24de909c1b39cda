//! What agents refer to by rows of other tables, besides their model: the MCP servers of their tools, and their fallback
//! models. These rows are foreign keys, so that nothing is deleted that an agent uses, and an index from servers and models
//! to agents. What an agent shows is in its own row.

use std::collections::{HashMap, HashSet};

use entity::{
    agent, agent_fallback, agent_server, mcp_server, model,
    tool::{StoredTool, ToolList},
    values::FallbackList,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait,
    QueryFilter, QuerySelect, sea_query::LockType,
};

use crate::{
    error::{Error, FieldError},
    search,
    write::bulk,
};

/// Checks the tools and fallback models of a row that was just written, and replaces its links, as far as they may differ
/// from those before.
pub(super) async fn replace(
    db: &impl ConnectionTrait,
    before: Option<&agent::Model>,
    row: &agent::Model,
) -> Result<(), Error> {
    let empty = (ToolList::default(), FallbackList::default());
    let (tools, fallbacks, model_id) = before.map_or((&empty.0, &empty.1, None), |before| {
        (&before.tools, &before.fallback_model_ids, before.model_id)
    });
    if *fallbacks != row.fallback_model_ids || model_id != row.model_id {
        check_fallbacks(row)?;
    }
    if *fallbacks != row.fallback_model_ids {
        let ids = &row.fallback_model_ids.0;
        let existing = existing_models(db, ids).await?;
        let missing = ids.iter().position(|id| !existing.contains(id));
        reject(missing.map(|index| {
            (
                format!("#/fallback_model_ids/{index}"),
                "there is no such model",
            )
        }))?;
        replace_fallbacks(db, row.id, ids).await?;
    }
    if *tools != row.tools {
        let tools = row.tools.tools()?;
        reject(check_tools(&tools))?;
        let servers = servers_of(db, &tools).await?;
        reject(missing_server(&tools, &servers))?;
        replace_servers(db, row.id, servers.into_values()).await?;
    }
    Ok(())
}

/// Restores the links of an agent that was deleted. What has been deleted meanwhile is taken out of the tools and fallback
/// models that it returns. A server that was created since under the name of a deleted one takes its place.
pub(super) async fn restore(
    db: &impl ConnectionTrait,
    row: &agent::Model,
) -> Result<agent::ActiveModel, Error> {
    let mut tools = row.tools.tools()?;
    let servers = servers_of(db, &tools).await?;
    tools.retain(|tool| {
        tool.server
            .as_deref()
            .is_none_or(|name| servers.contains_key(name))
    });
    let tools = ToolList::of(&tools)?;
    let models = existing_models(db, &row.fallback_model_ids.0).await?;
    let mut fallbacks = row.fallback_model_ids.clone();
    fallbacks.0.retain(|id| models.contains(id));
    if !servers.is_empty() {
        replace_servers(db, row.id, servers.into_values()).await?;
    }
    Ok(agent::ActiveModel {
        tools: Set(tools),
        fallback_model_ids: Set(fallbacks),
        ..ActiveModelTrait::default()
    })
}

/// Checks what a row says of its fallback models and tools, apart from whether these exist.
pub(crate) fn check(row: &agent::Model) -> Result<(), Error> {
    check_fallbacks(row)?;
    reject(check_tools(&row.tools.tools()?))
}

/// Replaces the links of agents that were just written and checked.
pub(crate) async fn replace_all(
    db: &impl ConnectionTrait,
    agents: &[agent::Model],
) -> Result<(), Error> {
    let ids = || agents.iter().map(|row| row.id);
    let backend = db.get_database_backend();
    let (mut servers, mut fallbacks) = (Vec::new(), Vec::new());
    let mut tools = Vec::new();
    for row in agents {
        let named = row.tools.tools()?;
        tools.extend(named.into_iter().map(|tool| (row.id, tool)));
        let models = row.fallback_model_ids.0.iter();
        fallbacks.extend(models.map(|id| agent_fallback::ActiveModel {
            agent_id: Set(row.id),
            model_id: Set(*id),
        }));
    }
    let named: Vec<StoredTool<'_>> = tools.iter().map(|(_, tool)| tool.clone()).collect();
    let known = servers_of(db, &named).await?;
    for (agent_id, tool) in &tools {
        if let Some(id) = tool.server.as_deref().and_then(|name| known.get(name)) {
            servers.push(agent_server::ActiveModel {
                agent_id: Set(*agent_id),
                mcp_server_id: Set(*id),
            });
        }
    }
    agent_server::Entity::delete_many()
        .filter(search::among(backend, agent_server::Column::AgentId, ids()))
        .exec(db)
        .await?;
    for chunk in servers.chunks(bulk::CHUNK) {
        agent_server::Entity::insert_many(chunk.to_vec())
            .exec_without_returning(db)
            .await?;
    }
    agent_fallback::Entity::delete_many()
        .filter(search::among(
            backend,
            agent_fallback::Column::AgentId,
            ids(),
        ))
        .exec(db)
        .await?;
    for chunk in fallbacks.chunks(bulk::CHUNK) {
        agent_fallback::Entity::insert_many(chunk.to_vec())
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
}

fn reject(fault: Option<(String, &str)>) -> Result<(), Error> {
    match fault {
        Some((pointer, detail)) => Err(Error::invalid(pointer, detail)),
        None => Ok(()),
    }
}

/// Each model once, and not the agent's own.
fn check_fallbacks(row: &agent::Model) -> Result<(), Error> {
    let mut seen: HashSet<i64> = row.model_id.into_iter().collect();
    let ids = row.fallback_model_ids.0.iter().enumerate();
    let repeated = ids.filter(|(_, id)| !seen.insert(**id));
    let errors: Vec<_> = repeated
        .map(|(index, _)| FieldError {
            pointer: format!("#/fallback_model_ids/{index}"),
            detail: "names the agent's own model, or one that is earlier in the list".to_owned(),
        })
        .collect();
    if errors.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid(errors.into()))
}

/// What is wrong with the first tool that is not as its type asks for, or repeats another.
fn check_tools(tools: &[StoredTool<'_>]) -> Option<(String, &'static str)> {
    let mut seen = HashSet::new();
    tools.iter().enumerate().find_map(|(index, tool)| {
        let at = |(field, detail)| (format!("#/tools/{index}/{field}"), detail);
        let is_first = seen.insert((tool.server.as_deref(), tool.name.as_deref()));
        let field = if tool.server.is_some() {
            "server"
        } else {
            "name"
        };
        let repeated = (!is_first).then_some((field, "is that of an earlier tool"));
        tool.check().or(repeated).map(at)
    })
}

fn missing_server(
    tools: &[StoredTool<'_>],
    servers: &HashMap<String, i64>,
) -> Option<(String, &'static str)> {
    let is_known = |name: &str| servers.contains_key(name);
    let mut tools = tools.iter();
    let index = tools.position(|tool| !tool.server.as_deref().is_none_or(is_known))?;
    let pointer = format!("#/tools/{index}/server");
    Some((pointer, "there is no MCP server with this name"))
}

/// The ids of the servers that tools name. Until the transaction ends they keep their names.
async fn servers_of(
    db: &impl ConnectionTrait,
    tools: &[StoredTool<'_>],
) -> Result<HashMap<String, i64>, DbErr> {
    let names: Vec<&str> = tools
        .iter()
        .filter_map(|tool| tool.server.as_deref())
        .collect();
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let servers: Vec<(String, i64)> = mcp_server::Entity::find()
        .select_only()
        .columns([mcp_server::Column::Name, mcp_server::Column::Id])
        .filter(mcp_server::Column::Name.is_in(names))
        .lock(LockType::KeyShare)
        .into_tuple()
        .all(db)
        .await?;
    Ok(servers.into_iter().collect())
}

/// Those of the models that exist.
async fn existing_models(db: &impl ConnectionTrait, ids: &[i64]) -> Result<HashSet<i64>, DbErr> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let existing: Vec<i64> = model::Entity::find()
        .select_only()
        .column(model::Column::Id)
        .filter(model::Column::Id.is_in(ids.iter().copied()))
        .lock(LockType::KeyShare)
        .into_tuple()
        .all(db)
        .await?;
    Ok(existing.into_iter().collect())
}

async fn replace_servers(
    db: &impl ConnectionTrait,
    agent_id: i64,
    servers: impl Iterator<Item = i64>,
) -> Result<(), DbErr> {
    agent_server::Entity::delete_many()
        .filter(agent_server::Column::AgentId.eq(agent_id))
        .exec(db)
        .await?;
    let rows = servers.map(|id| agent_server::ActiveModel {
        agent_id: Set(agent_id),
        mcp_server_id: Set(id),
    });
    agent_server::Entity::insert_many(rows)
        .exec_without_returning(db)
        .await?;
    Ok(())
}

async fn replace_fallbacks(
    db: &impl ConnectionTrait,
    agent_id: i64,
    models: &[i64],
) -> Result<(), DbErr> {
    agent_fallback::Entity::delete_many()
        .filter(agent_fallback::Column::AgentId.eq(agent_id))
        .exec(db)
        .await?;
    let rows = models.iter().map(|id| agent_fallback::ActiveModel {
        agent_id: Set(agent_id),
        model_id: Set(*id),
    });
    agent_fallback::Entity::insert_many(rows)
        .exec_without_returning(db)
        .await?;
    Ok(())
}
