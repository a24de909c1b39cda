//! Sorted lists: keyset pagination as in `page`, ordered by a column and then by id. The cursor contains the
//! sort, and the last row's value and id.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Datelike, Utc};
use poem_openapi::Enum;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, IntoSimpleExpr, Order,
    QueryFilter, QueryOrder, QueryResult, QueryTrait, Select, Value,
    sea_query::{Expr, ExprTrait, SimpleExpr},
};

use crate::{
    database::{Connections, PartialRows},
    error::Error,
    page::{self, Page, PageRequest},
    rows::{self, FromRow},
    search,
    watermark::watermark,
};

/// The order of a list; `-` reverses it. Strings are ordered by code point, so `Z` comes before `a`. Rows with the
/// same value are ordered by id, in the same direction. With `updated_at`, a row that changes while a client
/// reads the pages moves: in ascending order it appears again, in descending order it may be missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
pub(crate) enum Sort {
    // Cursors contain the position in this list: append new variants at the end.
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

/// The columns of a table that its list can be sorted by. They are never null.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sortable<C> {
    pub(crate) id: C,
    pub(crate) name: C,
    pub(crate) created_at: C,
    pub(crate) updated_at: C,
}

/// The value that a list is sorted by, in either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SortKey {
    Id,
    Name,
    CreatedAt,
    UpdatedAt,
}

impl Sort {
    fn parts(self) -> (SortKey, Order) {
        match self {
            Self::Id => (SortKey::Id, Order::Asc),
            Self::IdDown => (SortKey::Id, Order::Desc),
            Self::Name => (SortKey::Name, Order::Asc),
            Self::NameDown => (SortKey::Name, Order::Desc),
            Self::CreatedAt => (SortKey::CreatedAt, Order::Asc),
            Self::CreatedAtDown => (SortKey::CreatedAt, Order::Desc),
            Self::UpdatedAt => (SortKey::UpdatedAt, Order::Asc),
            Self::UpdatedAtDown => (SortKey::UpdatedAt, Order::Desc),
        }
    }
}

impl<C> Sortable<C> {
    /// The column that comes before the id.
    fn column(self, key: SortKey) -> Option<C> {
        match key {
            SortKey::Id => None,
            SortKey::Name => Some(self.name),
            SortKey::CreatedAt => Some(self.created_at),
            SortKey::UpdatedAt => Some(self.updated_at),
        }
    }
}

/// The requested page of a list, and its order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SortedRequest {
    page: PageRequest,
    sort: Sort,
    /// The value after which the page starts; the id is in `page`.
    after: Option<Value>,
    filter: SortedFilter,
}

/// Filters of every sorted list, by the columns that it can be sorted by.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SortedFilter {
    pub(crate) name: Option<String>,
    pub(crate) updated_since: Option<DateTime<Utc>>,
}

impl SortedRequest {
    /// Lowers the limit to so many rows.
    pub(crate) fn limit_to(&mut self, rows: usize) {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        self.page.limit = Ord::min(self.page.limit, rows);
    }

    /// Reads the query parameters of a list.
    ///
    /// # Errors
    /// A cursor that this service did not issue for this sort.
    pub(crate) fn parse(
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
        Ok(Self {
            sort,
            after,
            ..page.into()
        })
    }

    pub(crate) fn with_filter(self, filter: SortedFilter) -> Self {
        Self { filter, ..self }
    }
}

/// Ordered by id.
impl From<PageRequest> for SortedRequest {
    fn from(page: PageRequest) -> Self {
        Self {
            page,
            sort: Sort::Id,
            after: None,
            filter: SortedFilter::default(),
        }
    }
}

/// A list of an entity's rows that can be sorted.
#[derive(Debug)]
pub(crate) struct SortedList<E: EntityTrait> {
    query: Select<E>,
    columns: Vec<String>,
    sortable: Sortable<E::Column>,
}

impl<E: EntityTrait> SortedList<E>
where
    E::Model: Sync,
{
    /// A list of the rows of `query`, to be read as `R`. Build it once: building a query takes five times as long
    /// as copying it.
    pub(crate) fn new<R: FromRow<'static>>(
        query: Select<E>,
        sortable: Sortable<E::Column>,
    ) -> Self {
        Self {
            query: rows::select_only::<E, R>(query),
            columns: R::columns(),
            sortable,
        }
    }

    /// The query of the whole list, to add filters to.
    pub(crate) fn query(&self) -> Select<E> {
        self.query.clone()
    }

    /// Fetches one page of `query`.
    pub(crate) async fn fetch(
        &self,
        db: &Connections,
        query: Select<E>,
        request: SortedRequest,
    ) -> Result<Page<QueryResult>, Error> {
        let SortedRequest { page, sort, .. } = request;
        let backend = db.get_database_backend();
        let query = filtered(query, self.sortable, &request.filter, backend);
        let total = page::total(db, &query, page).await?;
        // Of the first page: changes between two pages may be of rows that are on the first.
        let since = request
            .filter
            .updated_since
            .filter(|_| page.after.is_none());
        let watermark = match since {
            Some(since) => Some(watermark(db).await?.unwrap_or(since)),
            None => None,
        };
        let query = sorted(query, self.sortable, &request, backend);
        let PartialRows { rows, ended_early } = page::rows_of_page(db, query, page).await?;
        let cursor = |row: &QueryResult| Ok(encode(sort, self.id(row)?, self.value(row, sort)?));
        let page: Result<_, Error> = Page::cut(rows, ended_early, page, total, cursor);
        Ok(Page { watermark, ..page? })
    }

    fn id(&self, row: &QueryResult) -> Result<i64, DbErr> {
        row.try_get_by_index(self.position(self.sortable.id)?)
    }

    /// The value that the row is sorted by before its id.
    fn value(&self, row: &QueryResult, sort: Sort) -> Result<Option<Value>, DbErr> {
        let key = sort.parts().0;
        let Some(column) = self.sortable.column(key) else {
            return Ok(None);
        };
        let position = self.position(column)?;
        Ok(Some(match key {
            SortKey::Name => row.try_get_by_index::<String>(position)?.into(),
            _ => row.try_get_by_index::<DateTime<Utc>>(position)?.into(),
        }))
    }

    fn position(&self, column: E::Column) -> Result<usize, DbErr> {
        let name = rows::qualified::<E>(column);
        let found = self.columns.iter().position(|column| *column == name);
        found.ok_or_else(|| DbErr::Type(format!("the rows have no {name}")))
    }
}

/// Adds the conditions of the filter. The name is compared as it is sorted, so one index serves both.
fn filtered<E: EntityTrait>(
    query: Select<E>,
    columns: Sortable<E::Column>,
    filter: &SortedFilter,
    backend: DbBackend,
) -> Select<E> {
    let SortedFilter {
        name,
        updated_since,
    } = filter;
    query
        .apply_if(name.as_deref(), |query, name| {
            query.filter(by_name(columns.name, backend).eq(name))
        })
        .apply_if(*updated_since, |query, moment| {
            query.filter(search::since(columns.updated_at, moment))
        })
}

/// Adds the order, and the condition with which the page starts.
fn sorted<E: EntityTrait>(
    query: Select<E>,
    columns: Sortable<E::Column>,
    request: &SortedRequest,
    backend: DbBackend,
) -> Select<E> {
    let SortedRequest {
        page, sort, after, ..
    } = request;
    let (key, order) = sort.parts();
    let value = columns.column(key).map(|column| match key {
        SortKey::Name => by_name(column, backend),
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

/// PostgreSQL compares strings by the database's locale by default; SQLite compares their bytes.
fn by_name<C: ColumnTrait>(column: C, backend: DbBackend) -> SimpleExpr {
    match backend {
        DbBackend::Postgres => {
            Expr::cust_with_exprs(r#"$1 COLLATE "C""#, [column.into_simple_expr()])
        }
        _ => column.into_simple_expr(),
    }
}

/// The first byte of a cursor of a sorted list. A list ordered by id has another.
const VERSION: u8 = 2;

fn encode(sort: Sort, id: i64, value: Option<Value>) -> String {
    if sort == Sort::Id {
        return page::encode(id);
    }
    let mut bytes = vec![VERSION, sort as u8];
    bytes.extend(id.to_be_bytes());
    match value {
        Some(Value::String(Some(text))) => bytes.extend(text.as_bytes()),
        Some(Value::ChronoDateTimeUtc(Some(timestamp))) => {
            bytes.extend(timestamp.timestamp_micros().to_be_bytes());
        }
        _ => {}
    }
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The id and, unless the list is sorted by id, the value of the row after which the page starts. Cursors are
/// not signed, so a value is validated like any other input.
fn decode(sort: Sort, cursor: &str) -> Option<(i64, Option<Value>)> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (id, value) = bytes
        .strip_prefix(&[VERSION, sort as u8])?
        .split_first_chunk()?;
    let value = match sort.parts().0 {
        SortKey::Id if value.is_empty() => None,
        SortKey::Id => return None,
        SortKey::Name => Some(text(value)?.into()),
        SortKey::CreatedAt | SortKey::UpdatedAt => Some(timestamp(value)?.into()),
    };
    Some((i64::from_be_bytes(*id), value))
}

fn text(bytes: &[u8]) -> Option<&str> {
    let text = str::from_utf8(bytes).ok()?;
    (!text.contains('\0')).then_some(text)
}

fn timestamp(bytes: &[u8]) -> Option<DateTime<Utc>> {
    let micros = i64::from_be_bytes(bytes.try_into().ok()?);
    DateTime::from_timestamp_micros(micros)
        .filter(|timestamp| (0..=9999).contains(&timestamp.year()))
}

/// One page of a list, and what belongs to the rows with these ids. The page ends early if that is larger than a
/// response may be.
pub(crate) async fn list_with_related<L, R, T>(
    mut request: SortedRequest,
    list: impl Fn(SortedRequest) -> L,
    related: impl Fn(Vec<i64>) -> R,
) -> Result<(Page<QueryResult>, T), Error>
where
    L: Future<Output = Result<Page<QueryResult>, Error>>,
    R: Future<Output = Result<T, Error>>,
{
    loop {
        let page = list(request.clone()).await?;
        match related(rows::ids(&page.rows)?).await {
            Err(Error::ResponseTooLarge) if page.rows.len() > 1 => {
                request.limit_to(page.rows.len() / 2);
            }
            related => return Ok((page, related?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_for_its_own_sort_only() {
        let timestamp = DateTime::from_timestamp_micros(1_767_225_600_123_456);
        for (sort, value) in [
            (Sort::IdDown, None),
            (Sort::Name, Some("Zoë \u{1f980}".into())),
            (Sort::NameDown, Some("".into())),
            (Sort::CreatedAt, timestamp.map(Value::from)),
            (Sort::UpdatedAtDown, timestamp.map(Value::from)),
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
