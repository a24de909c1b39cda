//! Pages by keyset: a list is in the order of its rows' ids, and a cursor is the last id seen. Lists
//! that have other orders too are in `sort`.

use std::convert::Infallible;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, Order, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Select,
};

use crate::error::Error;

/// Rows in a page when the client does not say.
pub const DEFAULT_LIMIT: u64 = 50;
/// Rows in a page at most.
pub const MAX_LIMIT: u64 = 200;

/// Which page of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    pub limit: u64,
    /// The id after which the page begins.
    pub after: Option<i64>,
    /// Whether to count all rows of the list too.
    pub count: bool,
}

impl PageRequest {
    /// Reads the query parameters of a list.
    ///
    /// # Errors
    /// A cursor that no list has given out.
    pub fn parse(
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
pub struct Page<T> {
    pub rows: Vec<T>,
    /// Where the next page begins; `None` on the last page.
    pub next_cursor: Option<String>,
    /// How many rows the whole list has, where it was asked for.
    pub total: Option<u64>,
}

impl<T> Page<T> {
    /// Makes a page of rows that were fetched with one more than the limit.
    pub fn cut(
        rows: Vec<T>,
        request: PageRequest,
        total: Option<u64>,
        id: impl Fn(&T) -> i64,
    ) -> Self {
        let cursor = |row: &T| Ok::<_, Infallible>(encode(id(row)));
        let Ok(page) = Self::cut_with(rows, request, total, cursor);
        page
    }

    /// The same for a list with cursors of its own.
    ///
    /// # Errors
    /// What the cursor can't be made for.
    pub(crate) fn cut_with<E>(
        mut rows: Vec<T>,
        request: PageRequest,
        total: Option<u64>,
        cursor: impl Fn(&T) -> Result<String, E>,
    ) -> Result<Self, E> {
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(cursor).transpose()?;
        Ok(Self {
            rows,
            next_cursor,
            total,
        })
    }

    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page {
            rows: self.rows.into_iter().map(convert).collect(),
            next_cursor: self.next_cursor,
            total: self.total,
        }
    }
}

/// Fetches one page of `query` in the order of `id`, as rows of any shape.
///
/// # Errors
/// What the database reports.
pub async fn fetch<E, R>(
    db: &impl ConnectionTrait,
    query: Select<E>,
    id: E::Column,
    request: PageRequest,
    id_of: impl Fn(&R) -> i64,
) -> Result<Page<R>, Error>
where
    E: EntityTrait,
    E::Model: Sync,
    R: FromQueryResult,
{
    fetch_in(db, query, id, Order::Asc, request, id_of).await
}

/// The same, in either order.
///
/// # Errors
/// What the database reports.
pub(crate) async fn fetch_in<E, R>(
    db: &impl ConnectionTrait,
    query: Select<E>,
    id: E::Column,
    order: Order,
    request: PageRequest,
    id_of: impl Fn(&R) -> i64,
) -> Result<Page<R>, Error>
where
    E: EntityTrait,
    E::Model: Sync,
    R: FromQueryResult,
{
    let total = total(db, &query, request).await?;
    let mut query = query.limit(request.limit + 1);
    if let Some(after) = request.after {
        query = query.filter(match order {
            Order::Desc => id.lt(after),
            _ => id.gt(after),
        });
    }
    let query = query.order_by(id, order);
    let rows = query.into_model::<R>().all(db).await?;
    Ok(Page::cut(rows, request, total, id_of))
}

/// How many rows the whole list has, where that was asked for.
pub(crate) async fn total<E>(
    db: &impl ConnectionTrait,
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

/// The version is part of a cursor, so that other kinds can be told from this one.
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
        let page = |rows: Vec<i64>| Page::cut(rows, request, None, |id| *id);
        assert_eq!(page(vec![1, 2, 3]).next_cursor, Some(encode(2)));
        assert_eq!(page(vec![1, 2, 3]).rows, [1, 2]);
        assert_eq!(page(vec![1, 2]).next_cursor, None);
        assert_eq!(page(vec![]).next_cursor, None);
    }
}
