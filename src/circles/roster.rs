//! The roster: what the service exists for.
//!
//! One statement loads a circle with its members, their agents, models and providers, whatever the number of
//! members. A page of circles with their members takes one statement more than the page. The statements are
//! built once, from the entities' relations and columns. What they mean is in the test of the roster: it loads
//! the same with SeaORM's Entity Loader, which takes four times as long, and compares.
//!
//! The joins are not nested, because SQLite materialises a join in parentheses, which takes seventy times as long.

use std::{collections::HashMap, sync::LazyLock};

use entity::{agent, catalog_revision, circle, member, model};
use sea_orm::{
    ConnectionTrait, DbErr, EntityName, EntityTrait, IdenStatic, JoinType, QueryFilter,
    QueryResult, QuerySelect, QueryTrait, RelationTrait, Select,
};

use super::{
    circle_rows::CircleSql,
    dto::{CircleRow, RosterMember},
    queries::{self, CircleFilter, by_name, unknown},
};
use crate::{
    database::Connections,
    error::Error,
    page::Page,
    revision::view_etag,
    rows::{self, Columns, FromRow, Sql},
    search,
    sort::{SortedRequest, list_with_related},
};

/// The usual size of a member in JSON, with its part of the circle.
const BYTES_A_MEMBER: usize = 1 << 11;

/// Identifies the content of a roster, which changes only with one of the two revisions.
#[derive(Clone, Copy, Debug)]
pub(super) struct RosterState {
    pub(super) id: i64,
    /// The revision of the circle, which grows with changes of its members and their agents too.
    pub(super) revision: i64,
    /// The revision of all models and providers.
    catalog_revision: i64,
}

impl RosterState {
    /// Reads the columns of [`STATE_COLUMNS`].
    fn read(columns: &mut Columns<'_>) -> Result<Self, DbErr> {
        Ok(Self {
            id: columns.next()?,
            revision: columns.next()?,
            catalog_revision: columns.next()?,
        })
    }

    pub(super) fn etag(self) -> String {
        view_etag(self.id, self.revision, self.catalog_revision)
    }
}

/// The columns of a roster's state, which are not shown.
static STATE_COLUMNS: LazyLock<[String; 3]> = LazyLock::new(|| {
    [
        rows::qualified::<circle::Entity>(circle::Column::Id),
        rows::qualified::<circle::Entity>(circle::Column::Revision),
        format!(
            "(SELECT {} FROM {} WHERE {} = 1)",
            catalog_revision::Column::Revision.as_str(),
            catalog_revision::Entity.table_name(),
            catalog_revision::Column::Id.as_str(),
        ),
    ]
});

/// Joins the agents of members, and the models and providers of agents that have any.
fn with_agents<E: EntityTrait>(members: Select<E>) -> Select<E> {
    members
        .join(JoinType::LeftJoin, member::Relation::Agent.def())
        .join(JoinType::LeftJoin, agent::Relation::Model.def())
        .join(JoinType::LeftJoin, model::Relation::Provider.def())
}

static ACTIVE: LazyLock<CircleSql> = LazyLock::new(|| roster_sql(false));
static WITH_INACTIVE: LazyLock<CircleSql> = LazyLock::new(|| roster_sql(true));

fn roster_sql(include_inactive: bool) -> CircleSql {
    CircleSql::new(&CIRCLE_COLUMNS, &RosterMember::columns(), |members| {
        with_agents(members).filter(member::Entity::shown(include_inactive))
    })
}

/// The columns of the roster's state and of the circle.
static CIRCLE_COLUMNS: LazyLock<Vec<String>> =
    LazyLock::new(|| [&STATE_COLUMNS[..], &CircleRow::columns()].concat());

/// The circle of that name with its members, as JSON, and its state, in one statement.
pub(super) async fn load(
    db: &impl ConnectionTrait,
    name: &str,
    include_inactive: bool,
) -> Result<(Vec<u8>, RosterState), Error> {
    let statement = if include_inactive {
        &WITH_INACTIVE
    } else {
        &ACTIVE
    };
    let rows = statement.find(db, name).await?;
    let columns = &mut rows.circle();
    let state = RosterState::read(columns)?;
    let mut roster = CircleRow::read(columns)?;
    roster.set_members(in_order(rows.members())?);
    let json = rows::to_json(&roster, BYTES_A_MEMBER * rows.members().len().max(1))?;
    Ok((json, state))
}

/// Reads members, and sorts them in the roster's order.
fn in_order<'r>(
    rows: impl ExactSizeIterator<Item = Columns<'r>>,
) -> Result<Vec<RosterMember<'r>>, DbErr> {
    let mut members = Vec::with_capacity(rows.len());
    for mut columns in rows {
        members.push(RosterMember::read(&mut columns)?);
    }
    // The keys are sorted, because a member is large.
    members.sort_by_cached_key(|member| (member.role, member.joined_at, member.member_id));
    Ok(members)
}

static STATE: LazyLock<Sql> =
    LazyLock::new(|| Sql::of(|_| rows::select_columns(by_name(), &*STATE_COLUMNS)));

/// The state of a circle's roster, read from two rows. A cached roster costs no more than this.
pub(super) async fn get_state(db: &impl ConnectionTrait, name: &str) -> Result<RosterState, Error> {
    let row = STATE.find_one(db, name).await?;
    let row = row.ok_or_else(|| unknown(name))?;
    Ok(RosterState::read(&mut Columns::of(&row))?)
}

static OF_CIRCLES: LazyLock<Select<member::Entity>> = LazyLock::new(|| {
    let members = with_agents(member::Entity::find());
    let members = members.filter(member::Entity::shown(false));
    let members = members.select_only().column(member::Column::CircleId);
    rows::also_select::<_, RosterMember<'_>>(members)
});

/// The rows of members by circle.
#[derive(Debug)]
pub(super) struct MembersOfCircles(HashMap<i64, Vec<QueryResult>>);

/// One page of circles, and their members. It ends early if these are larger than a response may be.
pub(super) async fn list_with_members(
    db: &Connections,
    filter: CircleFilter,
    request: SortedRequest,
) -> Result<(Page<QueryResult>, MembersOfCircles), Error> {
    let list = |request| queries::list(db, filter.clone(), request);
    list_with_related(request, list, |circles| members_of(db, circles)).await
}

/// The active members of these circles, in one statement.
async fn members_of(
    db: &impl ConnectionTrait,
    circles: Vec<i64>,
) -> Result<MembersOfCircles, Error> {
    let backend = db.get_database_backend();
    let among = search::among(backend, member::Column::CircleId, circles);
    let statement = OF_CIRCLES.clone().filter(among).build(backend);
    let mut members: HashMap<i64, Vec<QueryResult>> = HashMap::new();
    for row in db.query_all_raw(statement).await? {
        let circle_id = row.try_get_by_index(0)?;
        members.entry(circle_id).or_default().push(row);
    }
    Ok(MembersOfCircles(members))
}

impl MembersOfCircles {
    /// The members of one circle, in the roster's order.
    pub(super) fn of(&self, circle_id: i64) -> Result<Vec<RosterMember<'_>>, DbErr> {
        let rows = self.0.get(&circle_id).map_or(&[][..], Vec::as_slice);
        in_order(rows.iter().map(|row| Columns::from(row, 1)))
    }
}
