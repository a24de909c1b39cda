//! The registry as a document: always the same text for the same rows.

use std::collections::HashMap;

use entity::{agent, circle, mcp_server, member, model, provider};

use super::{
    described::Described,
    dto::{DOCUMENT_VERSION, DocumentKind},
    shown::Form,
    state::{ExportSelection, RegistryState},
};
use crate::{
    database::Database,
    error::Error,
    yaml::{Node, NodeMap, NodeValue},
};

/// Reads what is selected in one snapshot, as one document.
///
/// # Errors
/// A circle that is not there, or two agents that documents can't tell apart.
pub(crate) async fn export(
    database: &Database,
    selection: &ExportSelection,
) -> Result<Node, Error> {
    let state = database.retry_once(|| load(database, selection)).await?;
    check_names(&state)?;
    document(state, selection.owner.as_deref())
}

async fn load(database: &Database, selection: &ExportSelection) -> Result<RegistryState, Error> {
    let snapshot = database.connection().snapshot().await?;
    let state = RegistryState::load(&snapshot, selection).await;
    snapshot.end(state).await
}

/// Names of agents need not be unique. Documents need names that are.
fn check_names(state: &RegistryState) -> Result<(), Error> {
    let mut seen = HashMap::new();
    for row in &state.agents {
        let name = agent::Entity::name(row, &state.names);
        if let Some(other) = seen.insert(name.clone(), row.id) {
            return Err(ambiguous(other, row.id, &name));
        }
    }
    Ok(())
}

/// Two agents that documents can't tell apart.
pub(super) fn ambiguous(one: i64, other: i64, name: &str) -> Error {
    let detail = format!(
        "agents {one} and {other} are both named {name:?}; give one of them an external_id"
    );
    Error::conflict("agent_name_ambiguous", detail)
}

fn document(mut state: RegistryState, owner: Option<&str>) -> Result<Node, Error> {
    let mut document = NodeMap::new();
    document.insert("kind".to_owned(), DocumentKind::NAME.into());
    let version = NodeValue::Number(DOCUMENT_VERSION.to_string());
    document.insert("version".to_owned(), version.into());
    if let Some(owner) = owner {
        document.insert("owner".to_owned(), owner.into());
    }
    let members = std::mem::take(&mut state.members);
    let providers = std::mem::take(&mut state.providers);
    let models = std::mem::take(&mut state.models);
    let mcp_servers = std::mem::take(&mut state.mcp_servers);
    let agents = std::mem::take(&mut state.agents);
    let circles = std::mem::take(&mut state.circles);
    let mut members = members_by_circle(&state, members)?;
    let add_members = |id: i64, entry: &mut NodeMap| {
        if let Some(members) = members.remove(&id) {
            entry.insert("members".to_owned(), members.into());
        }
    };
    let nothing = |_: i64, _: &mut NodeMap| {};
    for (name, entries) in [
        (
            "providers",
            entries::<provider::Entity>(&state, owner, providers, nothing)?,
        ),
        (
            "models",
            entries::<model::Entity>(&state, owner, models, nothing)?,
        ),
        (
            "mcp_servers",
            entries::<mcp_server::Entity>(&state, owner, mcp_servers, nothing)?,
        ),
        (
            "agents",
            entries::<agent::Entity>(&state, owner, agents, nothing)?,
        ),
        (
            "circles",
            entries::<circle::Entity>(&state, owner, circles, add_members)?,
        ),
    ] {
        if !entries.is_empty() {
            document.insert(name.to_owned(), entries.into());
        }
    }
    Ok(document.into())
}

/// The rows of one table that belong to the owner, by name.
fn entries<E: Described>(
    state: &RegistryState,
    owner: Option<&str>,
    rows: Vec<E::Model>,
    mut add: impl FnMut(i64, &mut NodeMap),
) -> Result<Vec<Node>, Error> {
    let is_wanted = |row: &E::Model| {
        owner.is_none_or(|owner| state.owner(E::RESOURCE, E::id(row)) == Some(owner))
    };
    let wanted = rows.into_iter().filter(is_wanted);
    let mut named: Vec<_> = wanted
        .map(|row| (E::name(&row, &state.names), row))
        .collect();
    named.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let form = Form::of::<E>()?;
    let entry = |(_, row): (String, E::Model)| {
        let id = E::id(&row);
        let mut entry = form.show::<E>(row, &state.names)?;
        add(id, &mut entry);
        Ok(entry.into())
    };
    named.into_iter().map(entry).collect()
}

/// The members of each circle.
pub(super) fn members_by_circle(
    state: &RegistryState,
    members: Vec<member::Model>,
) -> Result<HashMap<i64, Vec<Node>>, Error> {
    let form = Form::of::<member::Entity>()?;
    let mut by_circle: HashMap<i64, Vec<Node>> = HashMap::new();
    for row in members {
        let circle_id = row.circle_id;
        let entry = form.show::<member::Entity>(row, &state.names)?;
        by_circle.entry(circle_id).or_default().push(entry.into());
    }
    Ok(by_circle)
}
