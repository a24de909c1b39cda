//! Lists that can be sorted: pages by keyset as in `page`, in the order of a column and, where rows
//! are equal in that, of their ids. The cursor carries the sort with the last row's value and id.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Datelike, Utc};
use poem_openapi::Enum;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, IdenStatic,
    IntoSimpleExpr, ModelTrait, Order, QueryFilter, QueryOrder, QueryResult, QuerySelect,
    QueryTrait, Select, Value,
    sea_query::{Expr, ExprTrait, SimpleExpr},
};

use crate::{
    error::Error,
    page::{self, Page, PageRequest},
    rows::Field,
};

/// What a list is sorted by; with a `-`, the other way round. Texts are in the order of their
/// characters' code points, so that `Z` is before `a`. Rows that are equal in what they are sorted
/// by are in the order of their ids, the same way round. A row that is changed while the pages are
/// read moves in the order of `updated_at`: upwards it comes once more, downwards it may be missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
pub enum Sort {
    // Cursors hold the place in this list: what is new goes to its end.
    #[default]
    #[oai(rename = "id")]
    Id,
    #[oai(rename = "-id")]
    IdDown,
    #[oai(rename = "name")]
    Name,
    #[oai(rename = "-name")]
    NameDown,
    #[oai(rename = "created_at")]
    CreatedAt,
    #[oai(rename = "-created_at")]
    CreatedAtDown,
    #[oai(rename = "updated_at")]
    UpdatedAt,
    #[oai(rename = "-updated_at")]
    UpdatedAtDown,
}

/// The columns of a table that stand behind the sorts. None of them is ever null.
#[derive(Clone, Copy, Debug)]
pub struct Sortable<C> {
    pub id: C,
    pub name: C,
    pub created_at: C,
    pub updated_at: C,
}

/// What a sort goes by, whichever way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Id,
    Name,
    CreatedAt,
    UpdatedAt,
}

impl Sort {
    fn parts(self) -> (Key, Order) {
        match self {
            Self::Id => (Key::Id, Order::Asc),
            Self::IdDown => (Key::Id, Order::Desc),
            Self::Name => (Key::Name, Order::Asc),
            Self::NameDown => (Key::Name, Order::Desc),
            Self::CreatedAt => (Key::CreatedAt, Order::Asc),
            Self::CreatedAtDown => (Key::CreatedAt, Order::Desc),
            Self::UpdatedAt => (Key::UpdatedAt, Order::Asc),
            Self::UpdatedAtDown => (Key::UpdatedAt, Order::Desc),
        }
    }
}

impl<C> Sortable<C> {
    /// The column that comes before the id.
    fn column(self, key: Key) -> Option<C> {
        match key {
            Key::Id => None,
            Key::Name => Some(self.name),
            Key::CreatedAt => Some(self.created_at),
            Key::UpdatedAt => Some(self.updated_at),
        }
    }
}

/// Which page of a list is asked for, in which order.
#[derive(Clone, Debug, PartialEq)]
pub struct SortedRequest {
    page: PageRequest,
    sort: Sort,
    /// The value, beside the id, after which the page begins.
    after: Option<Value>,
}

impl SortedRequest {
    /// Reads the query parameters of a list.
    ///
    /// # Errors
    /// A cursor that no list has given out for this sort.
    pub fn parse(
        sort: Option<Sort>,
        limit: Option<u64>,
        cursor: Option<&str>,
        count: Option<bool>,
    ) -> Result<Self, Error> {
        let sort = sort.unwrap_or_default();
        if sort == Sort::Id {
            return Ok(PageRequest::parse(limit, cursor, count)?.into());
        }
        let mut page = PageRequest::parse(limit, None, count)?;
        let mut after = None;
        if let Some(cursor) = cursor {
            let (id, value) = decode(sort, cursor).ok_or_else(page::foreign_cursor)?;
            page.after = Some(id);
            after = value;
        }
        Ok(Self { page, sort, after })
    }
}

/// In the order of ids.
impl From<PageRequest> for SortedRequest {
    fn from(page: PageRequest) -> Self {
        Self {
            page,
            sort: Sort::Id,
            after: None,
        }
    }
}

/// Fetches one page of `query`, sorted, as rows of any shape that the entity's own is part of.
///
/// # Errors
/// What the database reports.
pub async fn fetch<E, R>(
    db: &impl ConnectionTrait,
    query: Select<E>,
    columns: Sortable<E::Column>,
    request: SortedRequest,
    model_of: impl Fn(&R) -> &E::Model,
) -> Result<Page<R>, Error>
where
    E: EntityTrait,
    E::Model: Sync,
    R: FromQueryResult,
{
    let total = page::total(db, &query, request.page).await?;
    let sort = request.sort;
    let query = sorted(query, columns, &request, db.get_database_backend());
    let query = query.limit(request.page.limit + 1);
    let rows = query.into_model::<R>().all(db).await?;
    let cursor = |row: &R| {
        let row = model_of(row);
        let value = columns.column(sort.parts().0).map(|column| row.get(column));
        Ok(encode(sort, row.get(columns.id).unwrap(), value))
    };
    Page::cut_with(rows, request.page, total, cursor)
}

/// Fetches one page of `query`, which selects these fields, sorted, as rows as they are written.
///
/// # Errors
/// What the database reports.
pub(crate) async fn fetch_rows<E>(
    db: &impl ConnectionTrait,
    query: Select<E>,
    fields: &[Field],
    columns: Sortable<E::Column>,
    request: SortedRequest,
) -> Result<Page<QueryResult>, Error>
where
    E: EntityTrait,
    E::Model: Sync,
{
    let total = page::total(db, &query, request.page).await?;
    let (sort, backend) = (request.sort, db.get_database_backend());
    let query = sorted(query, columns, &request, backend);
    let mut statement = query.build(backend);
    // As a value it would have PostgreSQL plan the statement anew each time: how few rows are wanted
    // is what the plan depends on.
    let limit = format!(" LIMIT {}", request.page.limit + 1);
    statement.sql.push_str(&limit);
    let rows = db.query_all_raw(statement).await?;
    let index = |column: E::Column| Field::position(fields, column.as_str());
    let cursor = |row: &QueryResult| {
        let key = sort.parts().0;
        let index_of_key = columns.column(key).map(index).transpose()?;
        let value = match (index_of_key, key) {
            (None, _) => None,
            (Some(at), Key::Name) => Some(row.try_get_by_index::<String>(at)?.into()),
            (Some(at), _) => Some(row.try_get_by_index::<DateTime<Utc>>(at)?.into()),
        };
        Ok(encode(
            sort,
            row.try_get_by_index(index(columns.id)?)?,
            value,
        ))
    };
    Page::cut_with(rows, request.page, total, cursor)
}

/// The rows from the one on with which the page begins.
fn sorted<E: EntityTrait>(
    query: Select<E>,
    columns: Sortable<E::Column>,
    request: &SortedRequest,
    backend: DbBackend,
) -> Select<E> {
    let SortedRequest { page, sort, after } = request;
    let (key, order) = sort.parts();
    let value = columns.column(key).map(|column| match (key, backend) {
        (Key::Name, DbBackend::Postgres) => by_bytes(column),
        _ => column.into_simple_expr(),
    });
    let keys = || {
        value
            .clone()
            .into_iter()
            .chain([columns.id.into_simple_expr()])
    };
    let query = keys().fold(query, |query, key| query.order_by(key, order.clone()));
    let Some(id) = page.after else {
        return query;
    };
    let last = after.clone().into_iter().chain([id.into()]);
    let (keys, last) = (Expr::tuple(keys()), Expr::tuple(last.map(Expr::value)));
    query.filter(match order {
        Order::Desc => keys.lt(last),
        _ => keys.gt(last),
    })
}

/// PostgreSQL compares texts by its locale, unless told; SQLite compares their bytes.
fn by_bytes<C: ColumnTrait>(column: C) -> SimpleExpr {
    Expr::cust_with_exprs(r#"$1 COLLATE "C""#, [column.into_simple_expr()])
}

/// A cursor of a sorted list begins with this, one in the order of ids with another.
const VERSION: u8 = 2;

fn encode(sort: Sort, id: i64, value: Option<Value>) -> String {
    if sort == Sort::Id {
        return page::encode(id);
    }
    let mut bytes = vec![VERSION, sort as u8];
    bytes.extend(id.to_be_bytes());
    match value {
        Some(Value::String(Some(text))) => bytes.extend(text.as_bytes()),
        Some(Value::ChronoDateTimeUtc(Some(moment))) => {
            bytes.extend(moment.timestamp_micros().to_be_bytes());
        }
        _ => {}
    }
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The id and, but for a sort by ids, the value of the row after which the page begins. Cursors are
/// not signed, so a value is checked like any other that a client sends.
fn decode(sort: Sort, cursor: &str) -> Option<(i64, Option<Value>)> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (id, value) = bytes
        .strip_prefix(&[VERSION, sort as u8])?
        .split_first_chunk()?;
    let value = match sort.parts().0 {
        Key::Id if value.is_empty() => None,
        Key::Id => return None,
        Key::Name => Some(text(value)?.into()),
        Key::CreatedAt | Key::UpdatedAt => Some(moment(value)?.into()),
    };
    Some((i64::from_be_bytes(*id), value))
}

fn text(bytes: &[u8]) -> Option<&str> {
    let text = str::from_utf8(bytes).ok()?;
    (!text.contains('\0')).then_some(text)
}

fn moment(bytes: &[u8]) -> Option<DateTime<Utc>> {
    let micros = i64::from_be_bytes(bytes.try_into().ok()?);
    DateTime::from_timestamp_micros(micros).filter(|moment| (0..=9999).contains(&moment.year()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_for_its_own_sort_only() {
        let moment = DateTime::from_timestamp_micros(1_767_225_600_123_456);
        for (sort, value) in [
            (Sort::IdDown, None),
            (Sort::Name, Some("Zoë \u{1f980}".into())),
            (Sort::NameDown, Some("".into())),
            (Sort::CreatedAt, moment.map(Value::from)),
            (Sort::UpdatedAtDown, moment.map(Value::from)),
        ] {
            let cursor = encode(sort, i64::MAX, value.clone());
            assert_eq!(decode(sort, &cursor), Some((i64::MAX, value)));
            for other in [Sort::IdDown, Sort::Name, Sort::NameDown, Sort::UpdatedAt] {
                if other != sort {
                    assert_eq!(decode(other, &cursor), None, "{sort:?} as {other:?}");
                }
            }
            assert!(PageRequest::parse(None, Some(&cursor), None).is_err());
        }
    }

    #[test]
    fn a_list_in_the_order_of_ids_has_the_cursors_it_would_have_unsorted() {
        let cursor = encode(Sort::Id, 17, None);
        let unsorted = PageRequest::parse(None, Some(&cursor), None).expect("a request");
        let sorted = SortedRequest::parse(None, None, Some(&cursor), None);
        assert_eq!(sorted.expect("a request"), unsorted.into());
        assert_eq!(decode(Sort::IdDown, &cursor), None);
    }

    #[test]
    fn a_forged_value_is_refused() {
        let forged = |sort: Sort, value: &[u8]| {
            let bytes = [&[VERSION, sort as u8], &17_i64.to_be_bytes()[..], value].concat();
            decode(sort, &BASE64_URL_SAFE_NO_PAD.encode(bytes))
        };
        assert!(forged(Sort::Name, b"a").is_some());
        assert_eq!(forged(Sort::Name, b"a\0"), None);
        assert_eq!(forged(Sort::Name, b"\xff"), None);
        assert_eq!(forged(Sort::IdDown, b"a"), None);
        assert_eq!(forged(Sort::CreatedAt, b"a"), None);
        assert_eq!(forged(Sort::CreatedAt, &i64::MAX.to_be_bytes()), None);
        assert_eq!(forged(Sort::CreatedAt, &i64::MIN.to_be_bytes()), None);
    }
}
