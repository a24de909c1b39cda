//! From row to JSON: structs that borrow from a row and derive `Serialize`.
//!
//! A struct declared by [`row!`] is the schema of the API, the list of columns and the reader of the row in one.
//! [`value`] has the types of its fields, [`Columns`] reads a row column by column, by position, and [`source`]
//! reads a column of each driver's row. [`insert_text`] is the reverse: a row to insert, as part of a statement
//! written by hand. May import the entities and the base only. Start with `circles/dto.rs`, which declares two rows.

mod insert;
mod json;
mod row;
mod source;
mod value;

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, EntityTrait, IdenStatic, QueryResult, QuerySelect,
    QueryTrait, Select, Statement, Value, sea_query::Expr,
};

use source::Cell;

pub(crate) use insert::{insert_text, insert_values};
pub(crate) use json::to_json;
pub(crate) use row::{FromColumn, FromRow, row};
pub(crate) use value::{FromField, Json, RawJson, Text, Timestamp};

/// A query for the columns of `R` and nothing else.
pub(crate) fn select_only<E: EntityTrait, R: FromRow<'static>>(query: Select<E>) -> Select<E> {
    select_columns(query, &R::columns())
}

/// A query for these columns and nothing else.
pub(crate) fn select_columns<E: EntityTrait>(query: Select<E>, columns: &[String]) -> Select<E> {
    query.select_only().expr(Expr::cust(columns.join(", ")))
}

/// Adds the columns of `R` after those that the query selects. They are one expression, which makes copies of
/// the query cheap.
pub(crate) fn also_select<E: EntityTrait, R: FromRow<'static>>(query: Select<E>) -> Select<E> {
    query.expr(Expr::cust(R::columns().join(", ")))
}

/// The text of a statement for each database, built once.
#[derive(Debug)]
pub(crate) struct Sql {
    postgres: String,
    sqlite: String,
}

impl Sql {
    pub(crate) fn of<Q: QueryTrait>(query: impl Fn(DbBackend) -> Q) -> Self {
        let text = |backend| query(backend).build(backend).sql;
        Self {
            postgres: text(DbBackend::Postgres),
            sqlite: text(DbBackend::Sqlite),
        }
    }

    /// The rows for this value of the [`parameter`].
    pub(crate) async fn find(
        &self,
        db: &impl ConnectionTrait,
        value: impl Into<Value>,
    ) -> Result<Vec<QueryResult>, DbErr> {
        let backend = db.get_database_backend();
        db.query_all_raw(self.statement(backend, value)).await
    }

    /// The first row for this value.
    pub(crate) async fn find_one(
        &self,
        db: &impl ConnectionTrait,
        value: impl Into<Value>,
    ) -> Result<Option<QueryResult>, DbErr> {
        let backend = db.get_database_backend();
        db.query_one_raw(self.statement(backend, value)).await
    }

    fn statement(&self, backend: DbBackend, value: impl Into<Value>) -> Statement {
        let text = match backend {
            DbBackend::Sqlite => &self.sqlite,
            _ => &self.postgres,
        };
        Statement::from_sql_and_values(backend, text, [value.into()])
    }
}

/// The one parameter of an [`Sql`], which may occur more than once.
pub(crate) fn parameter() -> Expr {
    Expr::cust("$1")
}

/// The ids in rows whose first column is the id.
pub(crate) fn ids(rows: &[QueryResult]) -> Result<Vec<i64>, DbErr> {
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// A column, qualified by its table.
pub(crate) fn qualified<E: EntityTrait>(column: E::Column) -> String {
    format!("{}.{}", E::default().table_name(), column.as_str())
}

/// Reads the columns of a row in order.
pub(crate) struct Columns<'r> {
    row: &'r QueryResult,
    index: usize,
}

impl<'r> Columns<'r> {
    pub(crate) fn of(row: &'r QueryResult) -> Self {
        Self::from(row, 0)
    }

    /// Starts at this column.
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

    /// Whether the next column is null.
    pub(crate) fn is_null(&self) -> Result<bool, DbErr> {
        Ok(source::read::<()>(self.row, self.index)?.is_none())
    }
}
