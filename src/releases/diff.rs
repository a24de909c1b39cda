//! What differs between two releases, or between one and the circle as it is now.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

use entity::circle_release;
use indexmap::IndexMap;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::{
    dto::{ReleaseDiff, TeamMember},
    labels, queries,
    team::{self, DocumentPart, JsonFields, definition, unpack},
};
use crate::{
    circles::{
        self,
        labels::{LIVE, check},
    },
    database::Database,
    diff::{Differ, FieldChange},
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
    let compare = move || compare(&before, &after);
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

/// Compares object by object those that are not the same text, because parsing a team takes many times the memory of its text.
fn compare(before: &[u8], after: &[u8]) -> Result<TeamDiff, Error> {
    let (was, is) = (Objects::of(before)?, Objects::of(after)?);
    let mut differ = Differ::new();
    let mut different = BTreeSet::new();
    let added = is.0.keys().filter(|path| !was.0.contains_key(*path));
    for path in was.0.keys().chain(added) {
        let (before, after) = (was.0.get(path), is.0.get(path));
        if before.map(texts) == after.map(texts) {
            continue;
        }
        let known = differ.changes.len();
        let (before, after) = (parse(before)?, parse(after)?);
        differ.compare(path, before.as_ref(), after.as_ref());
        if differ.changes.len() > known {
            different.insert(path.as_str());
        }
    }
    let is_changed = |id: &i64| {
        let paths = PARTS_OF_MEMBER.map(|part| path(part, id));
        paths.iter().any(|path| different.contains(path.as_str()))
    };
    let (before, after) = (was.members(), is.members());
    let missing = |members: &BTreeMap<i64, String>, others: &BTreeMap<i64, String>| {
        let members = members.iter().filter(|(id, _)| !others.contains_key(id));
        members.map(team_member).collect()
    };
    let stayed = after.iter().filter(|(id, _)| before.contains_key(id));
    Ok(TeamDiff {
        joined: missing(&after, &before),
        left: missing(&before, &after),
        changed: stayed
            .filter(|(id, _)| is_changed(id))
            .map(team_member)
            .collect(),
        changes: differ.changes,
    })
}

fn team_member((id, name): (&i64, &String)) -> TeamMember {
    TeamMember {
        agent_id: *id,
        name: name.clone(),
    }
}

const PARTS_OF_MEMBER: [&str; 2] = ["members", "agents"];

fn path(part: &str, id: impl Display) -> String {
    format!("{part}[{id}]")
}

fn texts<'f>(fields: &'f JsonFields<'_>) -> Vec<(&'f str, &'f str)> {
    let texts = fields.iter().map(|(name, value)| (&**name, value.get()));
    texts.collect()
}

fn parse(fields: Option<&JsonFields<'_>>) -> Result<Option<Value>, Error> {
    let value = fields.map(serde_json::to_value);
    value.transpose().map_err(damaged)
}

/// The objects of a team by their paths.
struct Objects<'t>(IndexMap<String, JsonFields<'t>>);

impl<'t> Objects<'t> {
    fn of(team: &'t [u8]) -> Result<Self, Error> {
        let mut objects = IndexMap::new();
        for (name, part) in definition(team)? {
            match part {
                DocumentPart::List(items) => {
                    for item in items {
                        let id = item.get("id").or_else(|| item.get("agent_id"));
                        objects.insert(path(&name, id.ok_or_else(|| damaged("no id"))?), item);
                    }
                }
                DocumentPart::Object(fields) => {
                    objects.insert(name.into_owned(), fields);
                }
                DocumentPart::Other(_) => {}
            }
        }
        Ok(Self(objects))
    }

    /// The names of the members' agents by their ids.
    fn members(&self) -> BTreeMap<i64, String> {
        let paths = self.0.keys();
        let ids = paths.filter_map(|path| {
            path.strip_prefix("members[")?
                .strip_suffix(']')?
                .parse()
                .ok()
        });
        ids.filter_map(|id: i64| {
            let name = self.0.get(&path("agents", id))?.get("name")?;
            Some((id, serde_json::from_str(name.get()).ok()?))
        })
        .collect()
    }
}
