//! What differs between two releases, or between one and the circle as it is now.

use std::collections::BTreeMap;

use entity::circle_release;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::{
    dto::{ReleaseDiff, TeamMember},
    labels, queries,
    team::{self, definition, unpack},
};
use crate::{
    circles::{
        self,
        labels::{LIVE, check},
    },
    database::Database,
    diff::{FieldChange, changes},
    error::Error,
    handles::released::damaged,
};

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Number(i64),
    Label(String),
    /// The circle as it is now.
    Live,
    /// Before the first release.
    Nothing,
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

    /// The release before this one.
    async fn before(database: &Database, circle: &str, number: i64) -> Result<Self, Error> {
        use circle_release::Column;
        let db = database.connection();
        let circle_row = circles::queries::get(db, circle).await?;
        let before: Option<i64> = circle_release::Entity::find()
            .select_only()
            .column(Column::Number)
            .filter(Column::CircleId.eq(circle_row.id))
            .filter(Column::Number.lt(number))
            .order_by_desc(Column::Number)
            .into_tuple()
            .one(db)
            .await?;
        Ok(before.map_or(Self::Nothing, Self::Number))
    }

    /// Its team as JSON.
    async fn load(&self, database: &Database, circle: &str) -> Result<Vec<u8>, Error> {
        let db = database.connection();
        let number = match self {
            Self::Number(number) => *number,
            Self::Label(name) => labels::get(db, circle, name).await?.release,
            Self::Live => return Ok(team::freeze(database, circle).await?.team),
            Self::Nothing => return Ok(json!({}).to_string().into()),
        };
        unpack(&queries::get_row(db, circle, number).await?.team)
    }
}

/// What differs between two teams.
#[derive(Debug)]
pub(crate) struct TeamDiff {
    pub(crate) joined: Vec<TeamMember>,
    pub(crate) left: Vec<TeamMember>,
    pub(crate) changed: Vec<TeamMember>,
    pub(crate) changes: Vec<FieldChange>,
}

/// What differs, from one side to the other.
pub(crate) async fn diff(
    database: &Database,
    circle: &str,
    from: &Side,
    to: &Side,
) -> Result<TeamDiff, Error> {
    let before = from.load(database, circle).await?;
    let after = to.load(database, circle).await?;
    let compare = move || {
        let was = definition(&before)?;
        // The texts have several mebibytes, and what is parsed has many times that.
        drop(before);
        let is = definition(&after)?;
        drop(after);
        Ok(compare(&was, &is))
    };
    spawn_blocking(compare).await.map_err(damaged)?
}

/// What a release changes.
pub(super) async fn of_release(
    database: &Database,
    circle: &str,
    number: i64,
    against: Option<&str>,
) -> Result<ReleaseDiff, Error> {
    let release = Side::Number(number);
    let other = match against {
        Some(against) => Side::parse("query/against", against)?,
        None => Side::before(database, circle, number).await?,
    };
    let (from, to) = match other {
        Side::Live => (&release, &other),
        _ => (&other, &release),
    };
    let TeamDiff {
        joined,
        left,
        changed,
        changes,
    } = diff(database, circle, from, to).await?;
    Ok(ReleaseDiff {
        number,
        against: match other {
            Side::Number(number) => Some(number.to_string()),
            Side::Label(label) => Some(label),
            Side::Live => Some(LIVE.to_owned()),
            Side::Nothing => None,
        },
        joined,
        left,
        changed,
        changes,
    })
}

fn compare(before: &Value, after: &Value) -> TeamDiff {
    let (was, is) = (members(before), members(after));
    let missing = |members: &TeamMembers<'_>, others: &TeamMembers<'_>| {
        let members = members.iter().filter(|(id, _)| !others.contains_key(*id));
        members.map(|(_, (_, member))| member.clone()).collect()
    };
    let both = is.iter().filter_map(|(id, is)| Some((was.get(id)?, is)));
    let changed = both.filter(|(was, is)| was.0 != is.0);
    TeamDiff {
        joined: missing(&is, &was),
        left: missing(&was, &is),
        changed: changed.map(|(_, (_, member))| member.clone()).collect(),
        changes: changes(before, after),
    }
}

/// By the agent's id: the member with its agent, and who it is.
type TeamMembers<'t> = BTreeMap<i64, ([&'t Value; 2], TeamMember)>;

fn members(team: &Value) -> TeamMembers<'_> {
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
