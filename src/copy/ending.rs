//! What is not in the rows: the next ids, where the feed of changes continues, and what the planner knows.

use sea_orm::DbBackend;

use super::{
    catalogue::{CopiedTable, SchemaCatalogue, quoted},
    error::CopyError,
    session::CopySession,
};
use crate::changes;

/// Makes the next id of each table the one that the source would give: greater than that of any row that it ever had, so
/// that no id means two things in the audit trail.
pub(super) async fn continue_ids(
    tables: &[CopiedTable],
    (source, of_source): (&mut CopySession, &SchemaCatalogue),
    (target, of_target): (&mut CopySession, &SchemaCatalogue),
) -> Result<(), CopyError> {
    for table in tables {
        let Some(ids) = of_target.ids(&table.name) else {
            continue;
        };
        let given = match of_source.ids(&table.name) {
            Some(ids) => last_id(source, ids).await?,
            None => 0,
        };
        let key = table
            .key_columns()
            .next()
            .map(|column| quoted(&column.name));
        let highest = format!(
            "SELECT CAST(max({}) AS text) FROM {}",
            key.unwrap_or_default(),
            quoted(&table.name)
        );
        let last = given.max(target.number(&highest).await?);
        if last > 0 {
            set_last_id(target, ids, last).await?;
        }
    }
    Ok(())
}

/// The last id that was given; 0 before the first.
async fn last_id(session: &mut CopySession, ids: &str) -> Result<i64, CopyError> {
    let sql = match session.backend() {
        DbBackend::Sqlite => {
            format!("SELECT CAST(seq AS text) FROM sqlite_sequence WHERE name = '{ids}'")
        }
        _ => format!(
            "SELECT CAST(CASE WHEN is_called THEN last_value ELSE last_value - 1 END AS text) FROM {ids}"
        ),
    };
    session.number(&sql).await
}

async fn set_last_id(session: &mut CopySession, ids: &str, last: i64) -> Result<(), CopyError> {
    let sql = match session.backend() {
        DbBackend::Sqlite => format!(
            "DELETE FROM sqlite_sequence WHERE name = '{ids}'; \
             INSERT INTO sqlite_sequence (name, seq) VALUES ('{ids}', {last})"
        ),
        _ => format!("SELECT setval('{ids}', {last})"),
    };
    session.execute(&sql).await
}

/// Continues the feed of changes.
pub(super) async fn continue_feed(
    from: DbBackend,
    target: &mut CopySession,
) -> Result<(), CopyError> {
    match changes::continues_after_copy(from, target.backend()) {
        Some(sql) => target.execute(&sql).await,
        None => Ok(()),
    }
}

/// Tells the planner of PostgreSQL about the rows. Without it, the first statements are planned for empty tables, until the
/// server looks by itself. So a failure is none of the copy.
pub(super) async fn analyze(tables: &[CopiedTable], target: &mut CopySession) {
    if target.backend() == DbBackend::Postgres {
        let names: Vec<String> = tables.iter().map(|table| quoted(&table.name)).collect();
        if let Err(cause) = target
            .execute(&format!("ANALYZE {}", names.join(", ")))
            .await
        {
            tracing::warn!(%cause, "the tables were not analyzed");
        }
    }
}
