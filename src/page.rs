//! Keyset pagination: a list is ordered by id, and a cursor is the last id of a page. Lists with other orders
//! are in `sort`.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, Order, PaginatorTrait, QueryFilter,
    QueryOrder, QueryResult, QueryTrait, Select,
};

use crate::{
    database::{Connections, PartialRows},
    error::Error,
};

/// The default number of rows in a page.
pub(crate) const DEFAULT_LIMIT: u64 = 50;
/// The maximum number of rows in a page.
pub(crate) const MAX_LIMIT: u64 = 200;

/// The requested page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageRequest {
    pub(crate) limit: u64,
    /// The id after which the page starts.
    pub(crate) after: Option<i64>,
    /// Whether to count all rows of the list.
    pub(crate) count: bool,
}

impl PageRequest {
    /// Reads the query parameters of a list.
    ///
    /// # Errors
    /// A cursor that this service did not issue.
    pub(crate) fn parse(
        limit: Option<u64>,
        cursor: Option<&str>,
        count: Option<bool>,
    ) -> Result<Self, Error> {
        Ok(Self {
            limit: limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT),
            after: cursor.map(decode).transpose()?,
            count: count.unwrap_or(false),
        })
    }
}

/// A page of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page<T> {
    pub(crate) rows: Vec<T>,
    /// Cursor of the next page; `None` on the last page.
    pub(crate) next_cursor: Option<String>,
    /// The number of rows in the whole list, if requested.
    pub(crate) total: Option<u64>,
    /// Up to which time the list shows all changes, if requested.
    pub(crate) watermark: Option<DateTime<Utc>>,
}

impl<T> Page<T> {
    /// Makes a page of rows, of which one more than the limit was fetched unless they ended early.
    pub(crate) fn cut<E>(
        mut rows: Vec<T>,
        ended_early: bool,
        request: PageRequest,
        total: Option<u64>,
        cursor: impl Fn(&T) -> Result<String, E>,
    ) -> Result<Self, E> {
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let more = ended_early || rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(cursor).transpose()?;
        Ok(Self {
            rows,
            next_cursor,
            total,
            watermark: None,
        })
    }
}

/// Fetches one page of `query`, ordered by `id`, which must be its first column.
///
/// # Errors
/// What the database reports.
pub(crate) async fn fetch<E>(
    db: &Connections,
    mut query: Select<E>,
    id: E::Column,
    order: Order,
    request: PageRequest,
) -> Result<Page<QueryResult>, Error>
where
    E: EntityTrait,
    E::Model: Sync,
{
    let total = total(db, &query, request).await?;
    if let Some(after) = request.after {
        query = query.filter(match order {
            Order::Desc => id.lt(after),
            _ => id.gt(after),
        });
    }
    let PartialRows { rows, ended_early } =
        rows_of_page(db, query.order_by(id, order), request).await?;
    let cursor = |row: &QueryResult| Ok(encode(row.try_get_by_index(0)?));
    Page::cut(rows, ended_early, request, total, cursor)
}

/// The rows of a page, and one more if there is another page; fewer if they are as large as a response may be. The limit is a literal: with a bind parameter
/// PostgreSQL never settles on a generic plan.
pub(crate) async fn rows_of_page<E: EntityTrait>(
    db: &Connections,
    query: Select<E>,
    request: PageRequest,
) -> Result<PartialRows, DbErr> {
    let mut statement = query.build(db.get_database_backend());
    let limit = format!(" LIMIT {}", request.limit + 1);
    statement.sql.push_str(&limit);
    db.query_page(statement).await
}

/// The number of rows in the whole list, if requested.
pub(crate) async fn total<E>(
    db: &Connections,
    query: &Select<E>,
    request: PageRequest,
) -> Result<Option<u64>, Error>
where
    E: EntityTrait,
    E::Model: Sync,
{
    if request.count {
        Ok(Some(query.clone().count(db).await?))
    } else {
        Ok(None)
    }
}

/// The first byte of a cursor distinguishes the kinds of cursors.
const VERSION: u8 = 1;

pub(crate) fn encode(id: i64) -> String {
    let mut bytes = [VERSION; 9];
    bytes[1..].copy_from_slice(&id.to_be_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(cursor: &str) -> Result<i64, Error> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).unwrap_or_default();
    match bytes.split_first() {
        Some((&VERSION, id)) => id.try_into().ok().map(i64::from_be_bytes),
        _ => None,
    }
    .ok_or_else(foreign_cursor)
}

pub(crate) fn foreign_cursor() -> Error {
    let detail = "is not a cursor that this service gave out for this list and this sort";
    Error::invalid("query/cursor", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_a_foreign_one_is_refused() {
        for id in [1, 255, i64::MAX] {
            assert_eq!(decode(&encode(id)).expect("a cursor"), id);
        }
        for foreign in ["", "17", "!!!", "AgAAAAAAAAAB", "AQAAAAAAAAABAA"] {
            assert!(decode(foreign).is_err(), "{foreign}");
        }
    }

    #[test]
    fn the_last_page_has_no_cursor() {
        let request = PageRequest::parse(Some(2), None, None).expect("a request");
        let page = |rows: Vec<i64>| {
            let cursor = |id: &i64| Ok::<_, Error>(encode(*id));
            Page::cut(rows, false, request, None, cursor).expect("a page")
        };
        assert_eq!(page(vec![1, 2, 3]).next_cursor, Some(encode(2)));
        assert_eq!(page(vec![1, 2, 3]).rows, [1, 2]);
        assert_eq!(page(vec![1, 2]).next_cursor, None);
        assert_eq!(page(vec![]).next_cursor, None);
    }
}
