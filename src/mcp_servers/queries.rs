//! Reads and writes of MCP servers.

use std::sync::LazyLock;

use entity::{
    agent, agent_server, mcp_server,
    values::{StringList, Transport},
    variables::VariableMap,
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryResult,
    QuerySelect, QueryTrait,
    sea_query::{LockType, SelectStatement},
};

use super::{dto::McpServer, in_agents};
use crate::{
    database::Connections,
    error::{Error, FieldError, OnConstraint},
    page::Page,
    providers::base_url,
    revision::Precondition,
    search,
    sort::{Sortable, SortedList, SortedRequest},
    write::{self, Action, Change, Resource, UnitOfWork},
};

const SORTABLE: Sortable<mcp_server::Column> = Sortable {
    id: mcp_server::Column::Id,
    name: mcp_server::Column::Name,
    created_at: mcp_server::Column::CreatedAt,
    updated_at: mcp_server::Column::UpdatedAt,
};

pub(crate) fn change(action: Action, row: &mcp_server::Model) -> Change {
    Change::new(action, Resource::McpServer)
        .id(row.id)
        .name(&row.name)
}

/// Which servers a list shows.
#[derive(Debug, Default)]
pub(crate) struct McpServerFilter {
    pub(crate) q: Option<String>,
    pub(crate) transport: Option<Transport>,
}

static LIST: LazyLock<SortedList<mcp_server::Entity>> =
    LazyLock::new(|| SortedList::new::<McpServer>(mcp_server::Entity::find(), SORTABLE));

/// Rows of [`McpServer`]s.
pub(crate) async fn list(
    db: &Connections,
    filter: McpServerFilter,
    page: SortedRequest,
) -> Result<Page<QueryResult>, Error> {
    let McpServerFilter { q, transport } = filter;
    let backend = db.get_database_backend();
    let names = [mcp_server::Column::Name, mcp_server::Column::DisplayName];
    let query = LIST
        .query()
        .apply_if(q, |query, q| {
            query.filter(search::text_in(backend, &names, &q))
        })
        .apply_if(transport, |query, transport| {
            query.filter(mcp_server::Column::Transport.eq(transport))
        });
    LIST.fetch(db, query, page).await
}

pub(crate) async fn get(db: &impl ConnectionTrait, id: i64) -> Result<mcp_server::Model, Error> {
    mcp_server::Entity::find_by_id(id)
        .one(db)
        .await?
        .ok_or_else(|| unknown(id))
}

async fn get_for_update(
    db: &impl ConnectionTrait,
    id: i64,
    lock: LockType,
) -> Result<mcp_server::Model, Error> {
    mcp_server::Entity::find_by_id(id)
        .lock(lock)
        .one(db)
        .await?
        .ok_or_else(|| unknown(id))
}

pub(crate) async fn create(
    work: UnitOfWork,
    row: mcp_server::ActiveModel,
) -> Result<mcp_server::Model, Error> {
    let row = row.insert(work.db()).await;
    let row = row.on_unique(NAME_INDEX, name_taken)?;
    check(&row)?;
    work.record(change(Action::Create, &row).revision(row.revision));
    Ok(row)
}

/// Sets the columns that `changes` sets, and checks the row that results. A new name is written to the agents that use
/// the server.
pub(crate) async fn update(
    work: UnitOfWork,
    id: i64,
    precondition: &Precondition,
    changes: mcp_server::ActiveModel,
) -> Result<mcp_server::Model, Error> {
    // Agents that name the server hold a lock that only a rename waits for.
    let lock = if changes.name.is_set() {
        LockType::Update
    } else {
        LockType::NoKeyUpdate
    };
    let before = get_for_update(work.db(), id, lock).await?;
    precondition.check(id, before.revision)?;
    let saved = write::save_changes(work.db(), &before, &changes).await;
    let Some((row, fields)) = saved.on_unique(NAME_INDEX, name_taken)? else {
        return Ok(before);
    };
    check(&row)?;
    work.record(
        change(Action::Update, &row)
            .revision(row.revision)
            .fields(fields),
    );
    if row.name != before.name {
        in_agents::rename(&work, &row, &before.name).await?;
    }
    Ok(row)
}

/// The ids of the agents that use a server, deleted ones too.
pub(crate) fn users_of(server_id: i64) -> SelectStatement {
    agent_server::Entity::find()
        .select_only()
        .column(agent_server::Column::AgentId)
        .filter(agent_server::Column::McpServerId.eq(server_id))
        .into_query()
}

/// Deletes a server that no agent uses. Deleted agents do not count.
pub(crate) async fn delete(
    work: UnitOfWork,
    id: i64,
    precondition: &Precondition,
) -> Result<(), Error> {
    let db = work.db();
    let row = get_for_update(db, id, LockType::Update).await?;
    precondition.check(id, row.revision)?;
    let users =
        agent::Entity::find_not_deleted().filter(agent::Column::Id.in_subquery(users_of(id)));
    if let Some(users) = search::examples(db, users, agent::Column::Name).await? {
        let detail = format!("agents use the server ({users}); take it out of their tools first");
        return Err(Error::conflict(IN_USE, detail));
    }
    agent_server::Entity::delete_many()
        .filter(agent_server::Column::McpServerId.eq(id))
        .exec(db)
        .await?;
    mcp_server::Entity::delete_by_id(id)
        .exec(db)
        .await
        .on_foreign_key(|| Error::conflict(IN_USE, "an agent has just begun to use the server"))?;
    work.record(change(Action::Delete, &row));
    Ok(())
}

/// Checks a row as it was just written: an update may set some of the fields alone.
pub(crate) fn check(row: &mcp_server::Model) -> Result<(), Error> {
    let errors = errors_in(row);
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::Invalid(errors.into()))
    }
}

fn errors_in(row: &mcp_server::Model) -> Vec<FieldError> {
    let is_stdio = row.transport == Transport::Stdio;
    let has_args = row.args != StringList::default();
    let has_env = row.env != VariableMap::default();
    let has_headers = row.headers != VariableMap::default();
    let checks = [
        ("command", belongs(is_stdio, row.command.is_some())),
        ("command", required(is_stdio, row.command.is_some())),
        ("args", belongs(is_stdio, has_args)),
        ("env", belongs(is_stdio, has_env)),
        (
            "env",
            named(
                &row.env,
                b"_",
                "has a name that no environment variable has",
            ),
        ),
        ("url", belongs(!is_stdio, row.url.is_some())),
        ("url", required(!is_stdio, row.url.is_some())),
        ("url", base_url::check(row.url.as_deref(), true)),
        ("headers", belongs(!is_stdio, has_headers)),
        (
            "headers",
            named(&row.headers, b"-_", "has a name that no header field has"),
        ),
    ];
    let failed = checks.into_iter().filter_map(|(field, check)| {
        let detail = check.err()?.to_owned();
        let pointer = format!("#/{field}");
        Some(FieldError { pointer, detail })
    });
    failed.collect()
}

/// Whether a field that is set belongs to the transport.
fn belongs(to_transport: bool, is_set: bool) -> Result<(), &'static str> {
    if is_set && !to_transport {
        return Err("does not belong to this transport");
    }
    Ok(())
}

fn required(by_transport: bool, is_set: bool) -> Result<(), &'static str> {
    if by_transport && !is_set {
        return Err("is required with this transport");
    }
    Ok(())
}

/// Whether all names are of ASCII letters, digits and these characters.
fn named(map: &VariableMap, others: &[u8], fault: &'static str) -> Result<(), &'static str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
    let is_name = |name: &String| !name.is_empty() && name.bytes().all(fits);
    if map.names().iter().all(is_name) {
        return Ok(());
    }
    Err(fault)
}

fn unknown(id: i64) -> Error {
    Error::not_found("MCP server", id.to_string())
}

const IN_USE: &str = "mcp_server_in_use";
const NAME_INDEX: &str = "mcp_servers_name_unique";

fn name_taken() -> Error {
    Error::conflict(
        "mcp_server_name_taken",
        "an MCP server with this name exists",
    )
}
