//! Column types and statements that mean the same on both databases, shared by the migrations.

use sea_orm_migration::{prelude::*, schema, sea_orm::DbBackend};

/// A JSON column that is never null; `empty` is `{}` or `[]`.
pub(crate) fn json(name: &'static str, empty: &'static str) -> ColumnDef {
    schema::json_binary(name).default(empty).take()
}

/// A boolean column that is never null.
pub(crate) fn flag(name: &'static str, default: bool) -> ColumnDef {
    schema::boolean(name).default(default).take()
}

/// A text column that accepts only these values.
pub(crate) fn one_of(name: &'static str, default: &'static str, values: &[&str]) -> ColumnDef {
    schema::text(name)
        .default(default)
        .check(Expr::col(name).is_in(values.iter().copied()))
        .take()
}

/// A nullable integer column that is never negative.
pub(crate) fn count(name: &'static str) -> ColumnDef {
    schema::big_integer_null(name)
        .check(Expr::col(name).gte(0))
        .take()
}

/// Runs statements that are the same on both databases.
pub(crate) async fn run(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        manager
            .get_connection()
            .execute_unprepared(statement)
            .await?;
    }
    Ok(())
}

/// Runs statements on PostgreSQL only.
pub(crate) async fn run_on_postgres(
    manager: &SchemaManager<'_>,
    statements: &[&str],
) -> Result<(), DbErr> {
    match manager.get_database_backend() {
        DbBackend::Postgres => run(manager, statements).await,
        _ => Ok(()),
    }
}

/// Creates a trigram index on PostgreSQL, for substring search in these columns.
///
/// The extension pg_trgm ships with PostgreSQL and is trusted, but a server can be built without it,
/// and a role may lack the right to create it. Search works without the index, only slower, so a
/// missing extension is a notice and not an error. SQLite has no such index: there the filter reads
/// the table in key order and stops when its page is full.
pub(crate) async fn search_index(
    manager: &SchemaManager<'_>,
    table: &str,
    columns: &[&str],
) -> Result<(), DbErr> {
    let columns: Vec<String> = columns
        .iter()
        .map(|column| format!(r#"lower({column} COLLATE "C") gin_trgm_ops"#))
        .collect();
    let columns = columns.join(", ");
    let create = format!(
        "DO $$ BEGIN \
           CREATE EXTENSION IF NOT EXISTS pg_trgm; \
           CREATE INDEX {table}_search ON {table} USING gin ({columns}); \
         EXCEPTION \
           WHEN insufficient_privilege OR feature_not_supported OR undefined_file \
             OR undefined_object THEN \
             RAISE NOTICE 'no trigram index, text search will scan: %', SQLERRM; \
         END $$"
    );
    run_on_postgres(manager, &[&create]).await
}

pub(crate) async fn drop_table(
    manager: &SchemaManager<'_>,
    table: &'static str,
) -> Result<(), DbErr> {
    manager
        .drop_table(Table::drop().table(table).to_owned())
        .await
}

/// The current time, as the service stores it.
pub(crate) fn now(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Sqlite => "strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now')",
        _ => "now()",
    }
}
