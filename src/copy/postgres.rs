//! Statements on PostgreSQL.

use sea_orm::sqlx::{
    self, AssertSqlSafe, PgConnection, Row,
    postgres::{PgArguments, PgRow},
    query::Query,
};

use super::{
    catalogue::{CopiedColumn, CopiedTable, quoted},
    datum::{DataRow, Datum, DatumKind},
};

/// The time limits of sessions are those of requests. Some versions lack the last.
pub(super) const LIFT_LIMITS: &str = "SELECT set_config(name, '0', true) FROM pg_settings \
    WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')";

/// The columns of a row, which are all texts.
pub(super) fn texts(row: &PgRow) -> Result<Vec<Option<String>>, sqlx::Error> {
    (0..row.len()).map(|column| row.try_get(column)).collect()
}

/// Selects all rows by their keys. Keys of text are compared by their bytes, as by SQLite, whatever the database's
/// collation is.
pub(super) fn select(table: &CopiedTable) -> String {
    let columns: Vec<String> = table.columns.iter().map(selected).collect();
    let key: Vec<String> = table
        .key_columns()
        .map(|column| match column.kind {
            DatumKind::Text => format!("{} COLLATE \"C\"", quoted(&column.name)),
            _ => quoted(&column.name),
        })
        .collect();
    table.select(&columns, &key)
}

fn selected(column: &CopiedColumn) -> String {
    let name = quoted(&column.name);
    match column.kind {
        DatumKind::Integer => format!("{name}::bigint"),
        DatumKind::Real => format!("{name}::double precision"),
        DatumKind::Text | DatumKind::Json => format!("{name}::text"),
        _ => name,
    }
}

pub(super) fn datum(row: &PgRow, index: usize, kind: DatumKind) -> Result<Datum, sqlx::Error> {
    macro_rules! read {
        ($variant:ident) => {
            row.try_get::<Option<_>, _>(index)?.map(Datum::$variant)
        };
    }
    let datum = match kind {
        DatumKind::Bool => read!(Bool),
        DatumKind::Integer => read!(Integer),
        DatumKind::Real => read!(Real),
        DatumKind::Text | DatumKind::Stored => read!(Text),
        DatumKind::Json => read!(Json),
        DatumKind::Time => read!(Time),
        DatumKind::Date => read!(Date),
        DatumKind::Bytes => read!(Bytes),
    };
    Ok(datum.unwrap_or(Datum::Null))
}

/// Inserts rows by COPY: one statement for any number of values.
pub(super) async fn insert(
    connection: &mut PgConnection,
    table: &CopiedTable,
    rows: &[DataRow],
) -> Result<(), sqlx::Error> {
    let columns = table.columns.iter().map(|column| &*column.name);
    let constants = table.constants.iter().map(|(name, _)| *name);
    let columns: Vec<String> = columns.chain(constants).map(quoted).collect();
    let sql = format!(
        "COPY {} ({}) FROM STDIN",
        quoted(&table.name),
        columns.join(", ")
    );
    let mut text = Vec::new();
    for row in rows {
        for datum in row {
            datum.append_copy_text(&mut text);
            text.push(b'\t');
        }
        for (_, constant) in &table.constants {
            text.extend_from_slice(constant.as_bytes());
            text.push(b'\t');
        }
        if let Some(last) = text.last_mut() {
            *last = b'\n';
        }
    }
    let mut copy = connection.copy_in_raw(&sql).await?;
    copy.send(text).await?;
    copy.finish().await.map(drop)
}

pub(super) async fn delete(
    connection: &mut PgConnection,
    table: &CopiedTable,
    rows: &[DataRow],
) -> Result<(), sqlx::Error> {
    let sql = table.delete_by_key();
    for row in rows {
        let mut query = sqlx::query(AssertSqlSafe(sql.clone()));
        for index in &table.key {
            query = bind_key(query, &row[*index]);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

fn bind_key<'q>(
    query: Query<'q, sqlx::Postgres, PgArguments>,
    datum: &Datum,
) -> Query<'q, sqlx::Postgres, PgArguments> {
    match datum {
        Datum::Integer(value) => query.bind(*value),
        Datum::Text(value) => query.bind(value.clone()),
        // The catalogue refuses keys of other kinds.
        _ => query.bind(None::<i64>),
    }
}
