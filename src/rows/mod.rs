//! Rows of the statements written by hand, taken by position: the fastest way, and for a wide row of
//! several tables also the plainest.
//!
//! [`Columns`] decodes a row for a program that looks at it. What is not looked at is written as JSON
//! straight from what the driver received, as [`Field`]s of a [`JsonText`]. [`insert_text`] is the
//! other way round: a row that goes into a table as a part of such a statement.

mod field;
mod insert;
mod json;
mod source;
mod written;

use sea_orm::{DbBackend, DbErr, QueryResult};

use source::Cell;

pub(crate) use field::{Field, date, flag, integer, json, moment, number, price, text};
pub(crate) use insert::{insert_text, insert_values};
pub(crate) use json::{JsonText, Stored};
pub(crate) use written::{Written, written, written_by_serde};

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

    pub(crate) fn next<T: Cell<'r>>(&mut self) -> Result<T, DbErr> {
        let index = self.index;
        self.maybe()?
            .ok_or_else(|| DbErr::Type(format!("column {index} is null")))
    }

    /// A column that may be null.
    pub(crate) fn maybe<T: Cell<'r>>(&mut self) -> Result<Option<T>, DbErr> {
        let value = source::read(self.row, self.index)?;
        self.index += 1;
        Ok(value)
    }

    /// Passes over a column.
    pub(crate) fn skip(&mut self) {
        self.index += 1;
    }
}

/// A statement for one thing and the many that belong to it: a row for the one, and rows for the many.
///
/// First in each row is 1 for the one and 0 for the many. PostgreSQL wants a type for each column, so
/// there the columns of the many come after those of the one, which are null; SQLite, which pays for
/// each column of a row, has both in the same places.
#[derive(Debug)]
pub(crate) struct OneAndMany {
    pub(crate) text: String,
    /// Where the columns of the many begin; those of the one begin at 1.
    pub(crate) first_of_many: usize,
}

/// The statement for each database.
#[derive(Debug)]
pub(crate) struct OneAndManyOnBoth {
    postgres: OneAndMany,
    sqlite: OneAndMany,
}

impl OneAndManyOnBoth {
    pub(crate) fn new(one: &[&str], from_one: &str, many: &[&str], from_many: &str) -> Self {
        let statement = |one: Vec<&str>, many: Vec<&str>, first_of_many| OneAndMany {
            text: format!(
                "SELECT 1, {} {from_one} UNION ALL SELECT 0, {} {from_many}",
                one.join(", "),
                many.join(", ")
            ),
            first_of_many,
        };
        let nulls = |count| vec!["NULL"; count];
        let width = one.len().max(many.len());
        Self {
            postgres: statement(
                [one.to_vec(), nulls(many.len())].concat(),
                [nulls(one.len()), many.to_vec()].concat(),
                1 + one.len(),
            ),
            sqlite: statement(
                [one.to_vec(), nulls(width - one.len())].concat(),
                [many.to_vec(), nulls(width - many.len())].concat(),
                1,
            ),
        }
    }

    pub(crate) fn on(&self, backend: DbBackend) -> &OneAndMany {
        match backend {
            DbBackend::Sqlite => &self.sqlite,
            _ => &self.postgres,
        }
    }
}

/// Takes the row of the one out of those of the many. It comes first, though no database says so.
pub(crate) fn take_one(rows: &mut Vec<QueryResult>) -> Result<Option<QueryResult>, DbErr> {
    for index in 0..rows.len() {
        if source::read::<i64>(&rows[index], 0)? == Some(1) {
            return Ok(Some(rows.swap_remove(index)));
        }
    }
    Ok(None)
}

#[cfg(test)]
pub(crate) mod tests {
    use poem_openapi::{registry::Registry, types::Type};

    /// The names of the fields that the description has of a type, in their order.
    pub(crate) fn declared<T: Type>() -> Vec<&'static str> {
        let mut registry = Registry::new();
        T::register(&mut registry);
        let declared = &registry.schemas[&*T::name()].properties;
        declared.iter().map(|(name, _)| *name).collect()
    }
}
