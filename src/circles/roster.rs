//! The roster: what the service exists for.
//!
//! One statement loads a circle with its members, their agents, models and providers, whatever the number of
//! members. A page of circles with their members takes one statement more than the page. The statements are
//! built once, from the entities' relations and columns. What they mean is in the test of the roster: it loads
//! the same with SeaORM's Entity Loader, which takes four times as long, and compares.
//!
//! The circle is a row of its own, before its members. Repeated in the row of each member, as a join returns it,
//! it costs PostgreSQL a quarter more (290 against 230 microseconds). The joins are not nested, because SQLite
//! materialises a join in parentheses, which takes seventy times as long.

use std::{collections::HashMap, sync::LazyLock};

use entity::{agent, catalog_revision, circle, member, model};
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, EntityName, EntityTrait, IdenStatic, JoinType, QueryFilter,
    QueryResult, QuerySelect, QueryTrait, RelationTrait, Select, sea_query::UnionType,
};

use super::{
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

/// The usual size of a member in JSON.
const BYTES_A_MEMBER: usize = 1 << 11;

/// Identifies the content of a roster, which changes only with one of the two revisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

static ACTIVE: LazyLock<Sql> = LazyLock::new(|| roster_sql(false));
static WITH_INACTIVE: LazyLock<Sql> = LazyLock::new(|| roster_sql(true));

/// A row for the circle, which starts with 1, and a row for each member, which starts with 0.
fn roster_sql(include_inactive: bool) -> Sql {
    Sql::of(|backend| {
        let (circle_end, first) = (1 + CIRCLE_COLUMNS.len(), first_of_member(backend));
        let member_end = first + RosterMember::columns().len();
        let nulls = |count| vec!["NULL".to_owned(); count];
        let circle = [
            vec!["1".to_owned()],
            CIRCLE_COLUMNS.clone(),
            nulls(member_end.saturating_sub(circle_end)),
        ];
        let member = [
            vec!["0".to_owned()],
            nulls(first - 1),
            RosterMember::columns(),
            nulls(circle_end.saturating_sub(member_end)),
        ];
        let members = by_name().join(JoinType::InnerJoin, circle::Relation::Member.def());
        let members = with_agents(members).filter(member::Entity::shown(include_inactive));
        let members = rows::select_columns(members, &member.concat());
        let mut both = rows::select_columns(by_name(), &circle.concat());
        QuerySelect::query(&mut both).union(UnionType::All, members.into_query());
        both
    })
}

/// The columns of the roster's state and of the circle.
static CIRCLE_COLUMNS: LazyLock<Vec<String>> =
    LazyLock::new(|| [&STATE_COLUMNS[..], &CircleRow::columns()].concat());

/// The position of the first column of a member. PostgreSQL needs one type for each column, so there the columns
/// of members follow those of the circle. SQLite takes time for each column of a row, so there they share columns.
fn first_of_member(backend: DbBackend) -> usize {
    match backend {
        DbBackend::Sqlite => 1,
        _ => 1 + CIRCLE_COLUMNS.len(),
    }
}

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
    let mut rows = statement.find(db, name).await?;
    let circle = take_circle(&mut rows)?.ok_or_else(|| unknown(name))?;
    let columns = &mut Columns::from(&circle, 1);
    let state = RosterState::read(columns)?;
    let mut roster = CircleRow::read(columns)?;
    roster.set_members(in_order(&rows, first_of_member(db.get_database_backend()))?);
    let json = rows::to_json(&roster, BYTES_A_MEMBER * (rows.len() + 1))?;
    Ok((json, state))
}

/// Takes the row of the circle from among those of its members. It is the first in practice, but SQL does not
/// guarantee the order.
fn take_circle(rows: &mut Vec<QueryResult>) -> Result<Option<QueryResult>, DbErr> {
    for index in 0..rows.len() {
        if Columns::of(&rows[index]).next::<i64>()? == 1 {
            return Ok(Some(rows.swap_remove(index)));
        }
    }
    Ok(None)
}

/// Reads members, and sorts them in the roster's order.
fn in_order(rows: &[QueryResult], first: usize) -> Result<Vec<RosterMember<'_>>, DbErr> {
    let mut members = Vec::with_capacity(rows.len());
    for row in rows {
        members.push(RosterMember::read(&mut Columns::from(row, first))?);
    }
    members.sort_unstable_by(|one: &RosterMember<'_>, other| {
        let by_role = one.role.cmp(&other.role);
        by_role
            .then_with(|| one.joined_at.compare(other.joined_at))
            .then_with(|| one.member_id.cmp(&other.member_id))
    });
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
        in_order(rows, 1)
    }
}
