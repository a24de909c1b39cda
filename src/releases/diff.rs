//! What differs between two releases, or between one and the circle as it is now.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::task::spawn_blocking;

use super::{
    dto::{ReleaseChanges, TeamMember},
    labels, queries,
    team::{self, definition, unpack},
};
use crate::{
    circles::labels::{LIVE, check},
    database::Database,
    diff::changes,
    error::Error,
    handles::released::damaged,
};

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Number(i64),
    Label(String),
    Live,
}

impl Side {
    /// A number, the name of a label, or `live`, as a client sent it at this place.
    pub(crate) fn parse(place: &str, text: &str) -> Result<Self, Error> {
        if text == LIVE {
            return Ok(Self::Live);
        }
        if let Ok(number) = text.parse() {
            return Ok(Self::Number(number));
        }
        check(place, text)?;
        Ok(Self::Label(text.to_owned()))
    }

    /// Its number, unless it is what is not published, and its team.
    async fn load(
        &self,
        database: &Database,
        circle: &str,
    ) -> Result<(Option<i64>, Vec<u8>), Error> {
        let db = database.connection();
        let number = match self {
            Self::Number(number) => *number,
            Self::Label(name) => labels::get(db, circle, name).await?.release,
            Self::Live => return Ok((None, team::freeze(database, circle).await?.team)),
        };
        let row = queries::get_row(db, circle, number).await?;
        Ok((Some(number), unpack(&row.team)?))
    }
}

/// What differs, from one side to the other.
pub(crate) async fn diff(
    database: &Database,
    circle: &str,
    from: &Side,
    to: &Side,
) -> Result<ReleaseChanges, Error> {
    let (from_number, before) = from.load(database, circle).await?;
    let (to_number, after) = to.load(database, circle).await?;
    let compare = move || {
        let (before, after) = (definition(&before)?, definition(&after)?);
        Ok(compare(from_number, to_number, &before, &after))
    };
    spawn_blocking(compare).await.map_err(damaged)?
}

fn compare(from: Option<i64>, to: Option<i64>, before: &Value, after: &Value) -> ReleaseChanges {
    let (was, is) = (members(before), members(after));
    let named = |members: &Members<'_>, without: &Members<'_>| {
        let ids = members.keys().filter(|id| !without.contains_key(*id));
        ids.map(|id| members[id].1.clone()).collect()
    };
    let both = is
        .iter()
        .filter_map(|(id, after)| Some((was.get(id)?, after)));
    let changed = both.filter(|(before, after)| before.0 != after.0);
    ReleaseChanges {
        from,
        to,
        joined: named(&is, &was),
        left: named(&was, &is),
        changed: changed.map(|(_, (_, member))| member.clone()).collect(),
        changes: changes(before, after),
    }
}

/// By the agent's id: the member with its agent, and who it is.
type Members<'t> = BTreeMap<i64, ([&'t Value; 2], TeamMember)>;

fn members(team: &Value) -> Members<'_> {
    let list = |name: &str| team[name].as_array().map_or(&[][..], Vec::as_slice);
    let agents = list("agents").iter();
    let agents: BTreeMap<i64, &Value> = agents
        .filter_map(|agent| Some((agent["id"].as_i64()?, agent)))
        .collect();
    let members = list("members").iter().filter_map(|member| {
        let agent_id = member["agent_id"].as_i64()?;
        let agent = *agents.get(&agent_id)?;
        let name = agent["name"].as_str()?.to_owned();
        Some((agent_id, ([member, agent], TeamMember { agent_id, name })))
    });
    members.collect()
}
