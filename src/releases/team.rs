//! What a release holds: the team, and the handles resolved from it.

use std::{borrow::Cow, collections::BTreeMap};

use entity::{
    agent, agent_server, circle, label_name::LabelName, mcp_server, member, model, provider,
    values::JsonObject,
};
use indexmap::IndexMap;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Statement,
};
use serde::Serialize;
use serde_json::{json, value::RawValue};
use tokio::task::spawn_blocking;

use crate::{
    agents::dto::Agent,
    circles::{self, dto::Circle},
    database::Database,
    digest,
    error::Error,
    handles::{self, released::damaged},
    http::{gunzip, gzip_once},
    mcp_servers::dto::McpServer,
    members::dto::Member,
    models::dto::Model,
    providers::dto::Provider,
    rows, search,
};

/// A circle with all that its handles are resolved from, each in the form in which its own operations show it.
#[derive(Serialize)]
struct Team {
    circle: Circle,
    members: Vec<Member>,
    agents: Vec<Agent>,
    models: Vec<Model>,
    providers: Vec<Provider>,
    mcp_servers: Vec<McpServer>,
}

/// A circle at one moment, as JSON.
#[derive(Debug)]
pub(crate) struct Frozen {
    pub(super) circle_id: i64,
    pub(crate) team: Vec<u8>,
    pub(crate) handles: Vec<u8>,
}

/// Reads a circle in one snapshot, so that no concurrent change shows in a part of it only.
pub(crate) async fn freeze(database: &Database, name: &str) -> Result<Frozen, Error> {
    database.retry_once(|| try_freeze(database, name)).await
}

async fn try_freeze(database: &Database, name: &str) -> Result<Frozen, Error> {
    const BYTES: usize = 1 << 16;
    let snapshot = database.connection().snapshot().await?;
    let read = async {
        let circle_row = circles::queries::get(&snapshot, name).await?;
        let circle_id = circle_row.id;
        let handles = handles::to_json(&snapshot, name).await?;
        let team = load(&snapshot, circle_row).await?;
        Ok(Frozen {
            circle_id,
            team: rows::to_json(&team, BYTES)?,
            handles,
        })
    };
    let frozen: Result<Frozen, Error> = read.await;
    snapshot.end(frozen).await
}

/// Reads a circle as the release has it that a label points to, in one statement.
///
/// # Errors
/// [`Error::NotFound`] if there is no such circle or label.
pub(crate) async fn thaw(
    database: &Database,
    circle: &str,
    label: &LabelName,
) -> Result<Frozen, Error> {
    const BY_LABEL: &str = "SELECT c.id, r.team, r.handles \
        FROM circles c LEFT JOIN circle_labels l ON l.circle_id = c.id AND l.name = $2 \
        LEFT JOIN circle_releases r ON r.circle_id = l.circle_id AND r.number = l.release \
        WHERE c.name = $1 AND c.is_active";
    let (db, label): (_, &str) = (database.connection(), label);
    let parameters = [circle.into(), label.into()];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), BY_LABEL, parameters);
    let row = db.query_one_raw(statement).await?;
    let row = row.ok_or_else(|| circles::queries::unknown(circle))?;
    let (circle_id, team, handles): (i64, Option<Vec<u8>>, Option<Vec<u8>>) =
        row.try_get_many_by_index()?;
    let unknown = || Error::not_found("label", format!("{circle}/{label}"));
    let (team, handles) = team.zip(handles).ok_or_else(unknown)?;
    let unpacked = spawn_blocking(move || Ok((unpack(&team)?, unpack(&handles)?)));
    let unpacked: Result<_, Error> = unpacked.await.map_err(damaged)?;
    let (team, handles) = unpacked?;
    Ok(Frozen {
        circle_id,
        team,
        handles,
    })
}

async fn load(db: &impl ConnectionTrait, circle_row: circle::Model) -> Result<Team, Error> {
    let members = member::Entity::find()
        .filter(member::Column::CircleId.eq(circle_row.id))
        .filter(member::Entity::shown(false))
        .find_also_related(agent::Entity)
        .order_by_asc(member::Column::AgentId)
        .all(db)
        .await?;
    let (members, agents): (Vec<_>, Vec<_>) = members.into_iter().unzip();
    let agents: Vec<agent::Model> = agents.into_iter().flatten().collect();
    let (models, providers) = load_models(db, &agents).await?;
    Ok(Team {
        circle: circle_row.into(),
        mcp_servers: load_servers(db, &agents).await?,
        members: members.into_iter().map(Into::into).collect(),
        agents: agents.into_iter().map(Into::into).collect(),
        models,
        providers,
    })
}

/// The models of agents and their fallbacks, with the providers of these.
async fn load_models(
    db: &impl ConnectionTrait,
    agents: &[agent::Model],
) -> Result<(Vec<Model>, Vec<Provider>), Error> {
    let of_agent = |agent: &agent::Model| {
        let fallbacks = agent.fallback_model_ids.0.iter().copied();
        agent
            .model_id
            .into_iter()
            .chain(fallbacks)
            .collect::<Vec<_>>()
    };
    let ids = agents.iter().flat_map(of_agent);
    let is_used = search::among(db.get_database_backend(), model::Column::Id, ids);
    let models = model::Entity::find()
        .filter(is_used)
        .find_also_related(provider::Entity)
        .order_by_asc(model::Column::Id)
        .all(db)
        .await?;
    let (models, providers): (Vec<_>, Vec<_>) = models.into_iter().unzip();
    let providers = providers.into_iter().flatten();
    let providers: BTreeMap<i64, provider::Model> = providers.map(|row| (row.id, row)).collect();
    Ok((
        models.into_iter().map(Into::into).collect(),
        providers.into_values().map(Into::into).collect(),
    ))
}

async fn load_servers(
    db: &impl ConnectionTrait,
    agents: &[agent::Model],
) -> Result<Vec<McpServer>, Error> {
    let ids = agents.iter().map(|agent| agent.id);
    let is_theirs = search::among(
        db.get_database_backend(),
        agent_server::Column::AgentId,
        ids,
    );
    let servers = agent_server::Entity::find()
        .select_only()
        .column(agent_server::Column::McpServerId)
        .filter(is_theirs);
    let servers = mcp_server::Entity::find()
        .filter(mcp_server::Column::Id.in_subquery(servers.into_query()))
        .order_by_asc(mcp_server::Column::Id)
        .all(db)
        .await?;
    Ok(servers.into_iter().map(Into::into).collect())
}

/// A frozen circle as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    pub(super) circle_id: i64,
    pub(super) digest: String,
    pub(super) team: Vec<u8>,
    pub(super) handles: Vec<u8>,
}

impl Frozen {
    /// Takes a tenth of a second for the largest circles.
    pub(super) fn pack(&self) -> Result<Packed, Error> {
        let team = digest_of(&definition(&self.team)?)?;
        let handles = digest_of(&without_state(&self.handles, |name| name == "handles")?)?;
        let digest = digest::of_text(&json!({"team": team, "handles": handles}).to_string())?;
        Ok(Packed {
            circle_id: self.circle_id,
            digest,
            team: gzip_once(&self.team).into(),
            handles: gzip_once(&self.handles).into(),
        })
    }
}

/// A JSON object with the texts of its values. All values of a team as a tree would take many times the memory.
pub(super) type JsonFields<'t> = IndexMap<Cow<'t, str>, &'t RawValue>;

/// What a team or its handles hold under one name.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum DocumentPart<'t> {
    Object(JsonFields<'t>),
    List(Vec<JsonFields<'t>>),
    Other(&'t RawValue),
}

pub(super) type DocumentParts<'t> = IndexMap<Cow<'t, str>, DocumentPart<'t>>;

/// What says when something was made, what it does at the moment, or who may publish it, and not what it is. Warnings follow
/// from the rest and the date.
const STATE: [&str; 13] = [
    "agent_status",
    "created_at",
    "is_active",
    "joined_at",
    "left_at",
    "member_count",
    "priced_at",
    "protected_labels",
    "started_at",
    "status",
    "stopped_at",
    "updated_at",
    "warnings",
];

/// A team without the state of its parts.
pub(super) fn definition(team: &[u8]) -> Result<DocumentParts<'_>, Error> {
    without_state(team, |_| true)
}

/// A document without its state, and without that of the parts that have some.
fn without_state(
    document: &[u8],
    has_state: impl Fn(&str) -> bool,
) -> Result<DocumentParts<'_>, Error> {
    let document: JsonFields<'_> = serde_json::from_slice(document).map_err(damaged)?;
    let mut parts = DocumentParts::with_capacity(document.len());
    for (name, text) in remove_state(document) {
        let part = if has_state(&name) {
            DocumentPart::parse(text)?
        } else {
            DocumentPart::Other(text)
        };
        parts.insert(name, part);
    }
    Ok(parts)
}

impl<'t> DocumentPart<'t> {
    fn parse(text: &'t RawValue) -> Result<Self, Error> {
        if text.get().starts_with('[') {
            let items: Vec<JsonFields<'_>> = serde_json::from_str(text.get()).map_err(damaged)?;
            return Ok(Self::List(items.into_iter().map(remove_state).collect()));
        }
        let fields = serde_json::from_str(text.get()).map_err(damaged)?;
        Ok(Self::Object(remove_state(fields)))
    }
}

fn remove_state(mut fields: JsonFields<'_>) -> JsonFields<'_> {
    fields.retain(|name, _| !STATE.contains(&&**name));
    fields
}

fn digest_of(parts: &DocumentParts<'_>) -> Result<String, Error> {
    let text = serde_json::to_string(parts).map_err(damaged)?;
    Ok(digest::of_text(&text)?)
}

/// The text of a stored document.
pub(super) fn unpack(document: &[u8]) -> Result<Vec<u8>, Error> {
    gunzip(document).map_err(damaged)
}

/// A stored team as free JSON.
pub(super) fn team_of(document: &[u8]) -> Result<JsonObject, Error> {
    let json = String::from_utf8(unpack(document)?).map_err(damaged)?;
    Ok(JsonObject::from_stored(&json))
}
