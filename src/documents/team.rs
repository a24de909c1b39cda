//! What a release holds, as a document: the same as an export of the circle at the time.

use std::collections::HashMap;

use entity::{agent, circle, mcp_server, member, model, provider};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    described::Described,
    dto::{DOCUMENT_VERSION, DocumentKind},
    export::ambiguous,
    shown::{Form, ReferenceNames},
};
use crate::{
    error::Error,
    handles::released::damaged,
    write::Resource,
    yaml::{Node, NodeMap, NodeValue},
};

/// A team as releases hold it.
#[derive(Deserialize)]
struct TeamJson<'t> {
    #[serde(borrow)]
    circle: &'t RawValue,
    #[serde(borrow)]
    members: Vec<&'t RawValue>,
    #[serde(borrow)]
    agents: Vec<&'t RawValue>,
    #[serde(borrow)]
    models: Vec<&'t RawValue>,
    #[serde(borrow)]
    providers: Vec<&'t RawValue>,
    #[serde(borrow)]
    mcp_servers: Vec<&'t RawValue>,
}

/// What names a row.
#[derive(Deserialize)]
struct RowKey {
    #[serde(default)]
    id: i64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    external_id: Option<String>,
    #[serde(default)]
    model_name: String,
    #[serde(default)]
    provider_id: i64,
    #[serde(default)]
    agent_id: i64,
}

fn key_of(row: &RawValue) -> Result<RowKey, Error> {
    serde_json::from_str(row.get()).map_err(damaged)
}

/// The document of a team, whose members are in the order of the roster.
///
/// # Errors
/// Two agents that documents can't tell apart.
pub(crate) fn describe_team(team: &[u8], roster: &[i64]) -> Result<Node, Error> {
    let team: TeamJson<'_> = serde_json::from_slice(team).map_err(damaged)?;
    let names = names_of(&team)?;
    let mut document = NodeMap::from([
        ("kind".to_owned(), DocumentKind::NAME.into()),
        (
            "version".to_owned(),
            NodeValue::Number(DOCUMENT_VERSION.to_string()).into(),
        ),
    ]);
    let place: HashMap<i64, usize> = roster.iter().copied().zip(0..).collect();
    let mut members: Vec<(usize, &RawValue)> = Vec::new();
    for row in &team.members {
        let agent_id = key_of(row)?.agent_id;
        members.push((place.get(&agent_id).copied().unwrap_or(usize::MAX), row));
    }
    members.sort_by_key(|(place, _)| *place);
    let form = Form::of::<member::Entity>()?;
    let members = members.into_iter().map(|(_, row)| {
        let entry = form.show_json::<member::Entity>(row.get(), &names)?;
        Ok(Node::from(entry))
    });
    let members: Vec<Node> = members.collect::<Result<_, Error>>()?;
    let mut circle =
        Form::of::<circle::Entity>()?.show_json::<circle::Entity>(team.circle.get(), &names)?;
    if !members.is_empty() {
        circle.insert("members".to_owned(), members.into());
    }
    for (name, entries) in [
        (
            "providers",
            entries::<provider::Entity>(&team.providers, &names)?,
        ),
        ("models", entries::<model::Entity>(&team.models, &names)?),
        (
            "mcp_servers",
            entries::<mcp_server::Entity>(&team.mcp_servers, &names)?,
        ),
        ("agents", entries::<agent::Entity>(&team.agents, &names)?),
        ("circles", vec![circle.into()]),
    ] {
        if !entries.is_empty() {
            document.insert(name.to_owned(), entries.into());
        }
    }
    Ok(document.into())
}

/// What documents call the rows of a team.
fn names_of(team: &TeamJson<'_>) -> Result<ReferenceNames, Error> {
    let mut names = ReferenceNames::default();
    for row in &team.providers {
        let row = key_of(row)?;
        names.insert(Resource::Provider, row.id, row.name);
    }
    for row in &team.models {
        let row = key_of(row)?;
        let provider = names
            .get(Resource::Provider, row.provider_id)
            .unwrap_or_default();
        let name = format!("{provider}/{}", row.model_name);
        names.insert(Resource::Model, row.id, name);
    }
    let mut seen: HashMap<String, i64> = HashMap::new();
    for row in &team.agents {
        let row = key_of(row)?;
        let name = row.external_id.unwrap_or(row.name);
        if let Some(other) = seen.insert(name.clone(), row.id) {
            return Err(ambiguous(other, row.id, &name));
        }
        names.insert(Resource::Agent, row.id, name);
    }
    Ok(names)
}

/// The rows of one table, by name.
fn entries<E: Described>(rows: &[&RawValue], names: &ReferenceNames) -> Result<Vec<Node>, Error> {
    let form = Form::of::<E>()?;
    let mut rows_by_name = Vec::with_capacity(rows.len());
    for row in rows {
        let RowKey {
            id,
            name,
            external_id,
            ..
        } = key_of(row)?;
        let model = names.get(Resource::Model, id).unwrap_or_default();
        let name = match E::RESOURCE {
            Resource::Model => model.to_owned(),
            _ => external_id.unwrap_or(name),
        };
        rows_by_name.push((name, form.show_json::<E>(row.get(), names)?));
    }
    rows_by_name.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    Ok(rows_by_name
        .into_iter()
        .map(|(_, entry)| entry.into())
        .collect())
}
