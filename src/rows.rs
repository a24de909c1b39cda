//! Rows of the statements written by hand, decoded by position: the fastest way, and for a wide row
//! of several tables also the plainest, as long as the list of columns and the decoding stand next
//! to each other.

use sea_orm::{DbErr, QueryResult, TryGetable};

use crate::http::RawJson;

/// The columns of a row, one after the other.
pub(crate) struct Columns<'r> {
    row: &'r QueryResult,
    index: usize,
}

impl<'r> Columns<'r> {
    pub(crate) fn of(row: &'r QueryResult) -> Self {
        Self::from(row, 0)
    }

    /// The columns from this one on.
    pub(crate) fn from(row: &'r QueryResult, index: usize) -> Self {
        Self { row, index }
    }

    /// The index of the next column.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn next<T: TryGetable>(&mut self) -> Result<T, DbErr> {
        let index = self.index;
        self.index += 1;
        self.row.try_get_by_index(index)
    }

    /// A JSON column that was selected as text.
    pub(crate) fn next_json<T>(&mut self) -> Result<RawJson<T>, DbErr> {
        let text: String = self.next()?;
        RawJson::try_from(text).map_err(|error| DbErr::Json(error.to_string()))
    }
}
