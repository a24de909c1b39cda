//! A circle and its members in one statement.
//!
//! The circle is a row of its own. Repeated in the row of each member, as a join returns it, it costs PostgreSQL a
//! quarter more in a roster (290 against 230 microseconds), and a circle with long texts is sent many times.

use entity::circle;
use sea_orm::{
    ConnectionTrait, DbBackend, JoinType, QueryResult, QuerySelect, QueryTrait, RelationTrait,
    Select, sea_query::UnionType,
};

use super::queries::{by_name, unknown};
use crate::{
    error::Error,
    rows::{self, Columns, Sql},
};

/// The statement that finds a circle by name, with its members.
#[derive(Debug)]
pub(crate) struct CircleSql {
    sql: Sql,
    circle_columns: usize,
}

impl CircleSql {
    /// A row that starts with 1 for the circle, and rows that start with 0 for its members. `join` adds what the
    /// columns of members are read from.
    pub(crate) fn new(
        circle: &[String],
        member: &[String],
        join: impl Fn(Select<circle::Entity>) -> Select<circle::Entity>,
    ) -> Self {
        let sql = Sql::of(|backend| {
            let first = first_of_member(backend, circle.len());
            let (circle_end, member_end) = (1 + circle.len(), first + member.len());
            let nulls = |count| vec!["NULL".to_owned(); count];
            let columns_of_circle = [
                &["1".to_owned()],
                circle,
                &nulls(member_end.saturating_sub(circle_end)),
            ];
            let columns_of_member = [
                &["0".to_owned()],
                &*nulls(first - 1),
                member,
                &nulls(circle_end.saturating_sub(member_end)),
            ];
            let members = by_name().join(JoinType::InnerJoin, circle::Relation::Member.def());
            let members = rows::select_columns(join(members), &columns_of_member.concat());
            let mut both = rows::select_columns(by_name(), &columns_of_circle.concat());
            QuerySelect::query(&mut both).union(UnionType::All, members.into_query());
            both
        });
        Self {
            sql,
            circle_columns: circle.len(),
        }
    }

    /// Loads the circle of that name.
    pub(crate) async fn find(
        &self,
        db: &impl ConnectionTrait,
        name: &str,
    ) -> Result<CircleRows, Error> {
        let mut members = self.sql.find(db, name).await?;
        // The circle's row is the first in practice, but SQL does not guarantee the order.
        for index in 0..members.len() {
            if Columns::of(&members[index]).next::<i64>()? == 1 {
                return Ok(CircleRows {
                    circle: members.swap_remove(index),
                    members,
                    first_of_member: first_of_member(
                        db.get_database_backend(),
                        self.circle_columns,
                    ),
                });
            }
        }
        Err(unknown(name))
    }
}

/// The row of a circle, and a row for each of its members in no order.
#[derive(Debug)]
pub(crate) struct CircleRows {
    circle: QueryResult,
    members: Vec<QueryResult>,
    /// The position of the first column of a member.
    first_of_member: usize,
}

impl CircleRows {
    /// The columns of the circle.
    pub(crate) fn circle(&self) -> Columns<'_> {
        Columns::from(&self.circle, 1)
    }

    /// The columns of each member.
    pub(crate) fn members(&self) -> impl ExactSizeIterator<Item = Columns<'_>> {
        let rows = self.members.iter();
        rows.map(|row| Columns::from(row, self.first_of_member))
    }
}

/// PostgreSQL needs one type for each column, so there the columns of members follow those of the circle. SQLite
/// takes time for each column of a row, so there they share columns.
fn first_of_member(backend: DbBackend, circle_columns: usize) -> usize {
    match backend {
        DbBackend::Sqlite => 1,
        _ => 1 + circle_columns,
    }
}
