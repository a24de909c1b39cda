//! Changes that are committed and not shown yet, because an earlier transaction still runs. PostgreSQL only.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use entity::values::now;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use crate::rows::Columns;

/// The number below which all transactions have ended, and the one from which on none has.
pub(super) const ALL_ENDED_BELOW: &str =
    "CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)";
pub(super) const NONE_ENDED_FROM: &str =
    "CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint)";

/// Selects the time of the first of them.
pub(super) fn sql(backend: DbBackend) -> String {
    if backend == DbBackend::Sqlite {
        return "SELECT NULL".to_owned();
    }
    format!(
        "SELECT at FROM audit_entries WHERE transaction_id >= {ALL_ENDED_BELOW} AND transaction_id < {NONE_ENDED_FROM} \
         AND id + 0 >= (SELECT first_id FROM change_feed) ORDER BY transaction_id, id LIMIT 1"
    )
}

/// When the first of them was made; `None` if there are none.
pub(crate) async fn held_back_since(
    db: &impl ConnectionTrait,
) -> Result<Option<DateTime<Utc>>, DbErr> {
    let backend = db.get_database_backend();
    if backend == DbBackend::Sqlite {
        return Ok(None);
    }
    let row = db
        .query_one_raw(Statement::from_string(backend, sql(backend)))
        .await?;
    let since = row.map(|row| Columns::of(&row).next()).transpose()?;
    warn_of(since);
    Ok(since)
}

/// Changes that wait for longer are worth a warning.
const WARNING_AGE: TimeDelta = TimeDelta::minutes(1);

/// Warns of changes that wait for long, once in that time.
pub(super) fn warn_of(since: Option<DateTime<Utc>>) {
    static WARNED_AT: AtomicI64 = AtomicI64::new(0);
    let now = now();
    let age = since.map_or(TimeDelta::zero(), |since| now - since);
    let again_from = now - WARNING_AGE;
    if age > WARNING_AGE && WARNED_AT.load(Ordering::Relaxed) < again_from.timestamp() {
        WARNED_AT.store(now.timestamp(), Ordering::Relaxed);
        tracing::warn!(
            seconds = age.num_seconds(),
            "a long transaction on the database server holds back the feed of changes"
        );
    }
}
