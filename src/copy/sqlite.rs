//! Statements on SQLite.

use std::iter;

use chrono::{DateTime, Utc};
use sea_orm::sqlx::{
    self, AssertSqlSafe, Row, SqliteConnection, TypeInfo, ValueRef,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use super::{
    catalogue::{CopiedTable, quoted},
    datum::{DataRow, Datum, DatumKind, compact},
};

/// The values that one statement binds. SQLite takes 32,766; with more than these, it is not faster.
const MAX_BOUND: usize = 2_000;

/// Selects all rows by their keys, with texts compared by their bytes.
pub(super) fn select(table: &CopiedTable) -> String {
    let columns: Vec<String> = table.columns.iter().map(|it| quoted(&it.name)).collect();
    let key: Vec<String> = table
        .key_columns()
        .map(|column| format!("{} COLLATE BINARY", quoted(&column.name)))
        .collect();
    table.select(&columns, &key)
}

/// Reads a value. SQLite lets a column store what is not of its type, so the type of the value counts.
pub(super) fn datum(row: &SqliteRow, index: usize, kind: DatumKind) -> Result<Datum, String> {
    let value = row.try_get_raw(index).map_err(|cause| cause.to_string())?;
    if value.is_null() {
        return Ok(Datum::Null);
    }
    let stored = value.type_info().name().to_owned();
    drop(value);
    macro_rules! read {
        ($variant:ident, $ty:ty) => {
            row.try_get_unchecked::<$ty, _>(index)
                .map(Datum::$variant)
                .map_err(|cause| cause.to_string())
        };
    }
    match (kind, &*stored) {
        (DatumKind::Bool, "INTEGER") => match read!(Integer, i64)? {
            Datum::Integer(0) => Ok(Datum::Bool(false)),
            Datum::Integer(1) => Ok(Datum::Bool(true)),
            _ => Err("it is neither 0 nor 1".to_owned()),
        },
        (DatumKind::Integer | DatumKind::Stored, "INTEGER") => read!(Integer, i64),
        (DatumKind::Real, "REAL" | "INTEGER") | (DatumKind::Stored, "REAL") => read!(Real, f64),
        (DatumKind::Text | DatumKind::Stored, "TEXT") => read!(Text, String),
        (DatumKind::Json, "TEXT") => read!(Json, String),
        (DatumKind::Time, "TEXT") => time(row, index),
        (DatumKind::Date, "TEXT") => read!(Date, chrono::NaiveDate),
        (DatumKind::Bytes | DatumKind::Stored, "BLOB") => read!(Bytes, Vec<u8>),
        _ => Err(format!("it is stored as {stored}")),
    }
}

fn time(row: &SqliteRow, index: usize) -> Result<Datum, String> {
    let time: Result<DateTime<Utc>, _> = row.try_get_unchecked(index);
    match time {
        Ok(time) if time.timestamp_subsec_nanos().is_multiple_of(1_000) => Ok(Datum::Time(time)),
        Ok(_) => Err("it has digits beyond microseconds".to_owned()),
        Err(cause) => Err(cause.to_string()),
    }
}

/// Inserts rows, many in one statement.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    table: &CopiedTable,
    rows: &[DataRow],
) -> Result<(), sqlx::Error> {
    let at_once = (MAX_BOUND / table.columns.len().max(1)).max(1);
    let full = rows.chunks_exact(at_once);
    // The rest one at a time, so that a table has two statements and not one for each number of rows.
    let rest = full.remainder().chunks(1);
    for rows in full.chain(rest) {
        insert_at_once(connection, table, rows).await?;
    }
    Ok(())
}

async fn insert_at_once(
    connection: &mut SqliteConnection,
    table: &CopiedTable,
    rows: &[DataRow],
) -> Result<(), sqlx::Error> {
    let columns: Vec<String> = table.columns.iter().map(|it| quoted(&it.name)).collect();
    let places: Vec<&str> = iter::repeat_n("?", columns.len()).collect();
    let places = format!("({})", places.join(", "));
    let all: Vec<&str> = iter::repeat_n(&*places, rows.len()).collect();
    let sql = format!(
        "INSERT INTO {} ({}) VALUES {}",
        quoted(&table.name),
        columns.join(", "),
        all.join(", ")
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for datum in rows.iter().flatten() {
        query = bind(query, datum);
    }
    query.execute(connection).await.map(drop)
}

pub(super) async fn delete(
    connection: &mut SqliteConnection,
    table: &CopiedTable,
    rows: &[DataRow],
) -> Result<(), sqlx::Error> {
    let sql = table.delete_by_key();
    for row in rows {
        let mut query = sqlx::query(AssertSqlSafe(sql.clone()));
        for index in &table.key {
            query = bind(query, &row[*index]);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Binds a value as the service would.
fn bind<'q>(
    query: Query<'q, sqlx::Sqlite, SqliteArguments>,
    datum: &Datum,
) -> Query<'q, sqlx::Sqlite, SqliteArguments> {
    match datum {
        Datum::Null => query.bind(None::<i64>),
        Datum::Bool(value) => query.bind(*value),
        Datum::Integer(value) => query.bind(*value),
        Datum::Real(value) => query.bind(*value),
        Datum::Text(value) => query.bind(value.clone()),
        Datum::Json(value) => query.bind(compact(value)),
        Datum::Time(value) => query.bind(*value),
        Datum::Date(value) => query.bind(*value),
        Datum::Bytes(value) => query.bind(value.clone()),
    }
}
