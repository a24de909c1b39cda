//! Rows of the statements written by hand, taken by position: the fastest way, and for a wide row of
//! several tables also the plainest.
//!
//! [`Columns`] decodes a row for a program that looks at it. What is not looked at is written as JSON
//! straight from what the driver received, as [`Field`]s of a [`JsonText`].

mod json;
mod source;

use sea_orm::{DbErr, QueryResult};

use source::Cell;

pub(crate) use json::{
    Field, JsonText, date, flag, integer, json, long_text, moment, number, price, text,
};

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

    pub(crate) fn next<T: Cell>(&mut self) -> Result<T, DbErr> {
        let index = self.index;
        self.maybe()?
            .ok_or_else(|| DbErr::Type(format!("column {index} is null")))
    }

    /// A column that may be null.
    pub(crate) fn maybe<T: Cell>(&mut self) -> Result<Option<T>, DbErr> {
        let value = source::read(self.row, self.index)?;
        self.index += 1;
        Ok(value)
    }

    /// Passes over a column.
    pub(crate) fn skip(&mut self) {
        self.index += 1;
    }
}

/// The text of a statement for one thing and the many that belong to it: a row with the columns of the
/// one, and rows with the columns of the many after as many nulls. The first column of the one is its
/// id.
pub(crate) fn one_and_many(one: &[&str], from_one: &str, many: &[&str], from_many: &str) -> String {
    let listed = |columns: &mut dyn Iterator<Item = &str>| columns.collect::<Vec<_>>().join(", ");
    let nulls = |count| std::iter::repeat_n("NULL", count);
    let first = listed(&mut one.iter().copied().chain(nulls(many.len())));
    let others = listed(&mut nulls(one.len()).chain(many.iter().copied()));
    format!("SELECT {first} {from_one} UNION ALL SELECT {others} {from_many}")
}

/// Takes the row of the one out of those of the many. It comes first, though no database says so.
pub(crate) fn take_one(rows: &mut Vec<QueryResult>) -> Result<Option<QueryResult>, DbErr> {
    for index in 0..rows.len() {
        if source::read::<i64>(&rows[index], 0)?.is_some() {
            return Ok(Some(rows.swap_remove(index)));
        }
    }
    Ok(None)
}
