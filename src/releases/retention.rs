//! Deleting old releases: all but the newest of each circle, and those that a label points to.

use entity::circle;
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, QuerySelect, Statement};

use crate::{error::Error, write::UnitOfWork};

/// The releases of one circle that may go, deleted circles too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OldReleases {
    circle_id: i64,
    /// The number of the newest one.
    newest: i64,
    pub(crate) count: u64,
}

/// What no label points to, of the rows `r`.
const UNLABELLED: &str = "NOT EXISTS \
    (SELECT 1 FROM circle_labels l WHERE l.circle_id = r.circle_id AND l.release = r.number)";

/// The releases beyond the newest `keep` of each circle.
pub(crate) async fn find(db: &impl ConnectionTrait, keep: i64) -> Result<Vec<OldReleases>, DbErr> {
    let sql = format!(
        "SELECT circle_id, max(number), count(*) FROM (SELECT circle_id, number, \
         row_number() OVER (PARTITION BY circle_id ORDER BY number DESC) AS place \
         FROM circle_releases) AS r WHERE place > $1 AND {UNLABELLED} \
         GROUP BY circle_id ORDER BY circle_id"
    );
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [keep.into()]);
    let rows = db.query_all_raw(statement).await?;
    let read = rows.iter().map(|row| {
        let (circle_id, newest, count) = row.try_get_many_by_index::<(i64, i64, i64)>()?;
        Ok(OldReleases {
            circle_id,
            newest,
            count: u64::try_from(count).unwrap_or_default(),
        })
    });
    read.collect()
}

/// Releases in one transaction.
pub(crate) const BATCH: u64 = 500;

/// Deletes the oldest ones, and returns how many. The circle is locked, so that no label is moved to one meanwhile.
pub(crate) async fn delete_batch(work: UnitOfWork, old: OldReleases) -> Result<u64, Error> {
    let sql = format!(
        "DELETE FROM circle_releases WHERE circle_id = $1 AND number IN \
         (SELECT number FROM circle_releases r WHERE circle_id = $1 AND number <= $2 AND {UNLABELLED} \
         ORDER BY number LIMIT {BATCH})"
    );
    let db = work.db();
    circle::Entity::find_by_id(old.circle_id)
        .lock_exclusive()
        .one(db)
        .await?;
    let values = [old.circle_id.into(), old.newest.into()];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    Ok(db.execute_raw(statement).await?.rows_affected())
}
