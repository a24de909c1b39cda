//! Up to which time a list shows all changes, for those who poll it.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use crate::rows::Columns;

/// How far the clocks of the instances and of the database may differ.
const CLOCK_DIFFERENCE: TimeDelta = TimeDelta::seconds(10);

/// A time before which there is no change that later statements see and earlier ones did not. `None` before the first
/// change.
///
/// A change has the time at which it was made, in a transaction that ends later. On PostgreSQL, it is not earlier than the
/// beginning of the oldest transaction that runs. SQLite has one writer, and its changes have the order in which they are
/// committed: none follows that is earlier than the last one.
///
/// # Errors
/// What the database reports.
pub(crate) async fn watermark(db: &impl ConnectionTrait) -> Result<Option<DateTime<Utc>>, DbErr> {
    let backend = db.get_database_backend();
    let sql = match backend {
        DbBackend::Sqlite => "SELECT at FROM audit_entries ORDER BY id DESC LIMIT 1",
        _ => {
            "SELECT least(min(xact_start), clock_timestamp()) FROM pg_stat_activity \
             WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        }
    };
    let row = db
        .query_one_raw(Statement::from_string(backend, sql))
        .await?;
    let time: Option<DateTime<Utc>> = row.map(|row| Columns::of(&row).next()).transpose()?;
    Ok(time.map(|time| time - CLOCK_DIFFERENCE))
}
