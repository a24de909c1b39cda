//! The state of the feed, and what may follow a cursor.

use chrono::{DateTime, TimeDelta, Utc};
use entity::values::now;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, Statement, Value};

use super::{
    cursor::{ChangeCursor, Position},
    held_back::{self, ALL_ENDED_BELOW, NONE_ENDED_FROM},
};
use crate::{error::Error, rows::Columns};

/// Where a page starts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum After {
    /// All that is kept.
    Start,
    /// All that is shown now.
    Latest,
    Cursor(ChangeCursor),
}

/// The part of the feed that a page is made of.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) after: ChangeCursor,
    /// The last entry of it; `None` if nothing follows.
    pub(super) last: Option<ChangeCursor>,
    /// Entries with lower ids do not belong to the feed.
    pub(super) first_id: i64,
    /// Whether it has as many entries as it may have.
    pub(super) is_full: bool,
    pub(super) held_back_since: Option<DateTime<Utc>>,
}

/// Younger entries are never deleted: the database refuses it for 30 days.
const ALWAYS_KEPT: TimeDelta = TimeDelta::days(29);

impl Window {
    /// Whether entries of it may have been deleted since it was found.
    pub(super) fn may_be_pruned(&self) -> bool {
        self.after.at < now() - ALWAYS_KEPT
    }

    pub(super) fn end(&self) -> ChangeCursor {
        self.last.unwrap_or(self.after)
    }
}

/// Finds up to `entries` entries that follow.
///
/// # Errors
/// [`Error::CursorExpired`] if the entry of the cursor, or one that followed it, is gone.
pub(super) async fn window(
    db: &impl ConnectionTrait,
    after: After,
    entries: u64,
) -> Result<Window, Error> {
    let mut look = Look::at(db, after, entries).await?;
    if !look.is_of_this_cluster {
        move_to_this_cluster(db).await?;
        look = Look::at(db, after, entries).await?;
    }
    held_back::warn_of(look.held_back_since);
    let (after, last) = match after {
        After::Start => (look.start, look.last),
        After::Latest => (look.last.unwrap_or(look.start), None),
        After::Cursor(cursor) if look.can_continue_from(cursor) => (cursor, look.last),
        After::Cursor(_) => return Err(Error::CursorExpired),
    };
    Ok(Window {
        after,
        last,
        first_id: look.first_id,
        is_full: last.is_some() && look.found >= entries,
        held_back_since: look.held_back_since,
    })
}

/// The place from which a follower can continue.
///
/// # Errors
/// As [`window`].
pub(crate) async fn find_place(
    db: &impl ConnectionTrait,
    after: After,
) -> Result<ChangeCursor, Error> {
    Ok(window(db, after, 1).await?.after)
}

/// What one statement finds.
#[derive(Debug)]
struct Look {
    /// The feed starts after it.
    start: ChangeCursor,
    first_id: i64,
    is_of_this_cluster: bool,
    /// The entry with the cursor's id.
    entry: Option<ChangeCursor>,
    last: Option<ChangeCursor>,
    found: u64,
    held_back_since: Option<DateTime<Utc>>,
}

impl Look {
    async fn at(db: &impl ConnectionTrait, after: After, entries: u64) -> Result<Self, Error> {
        let backend = db.get_database_backend();
        let (position, descending, entries) = match after {
            After::Start => (None, false, entries),
            After::Latest => (None, true, 1),
            After::Cursor(cursor) => (Some(cursor.position), false, entries),
        };
        let sql = sql(backend, descending, entries);
        let values = [
            Value::from(position.map(|position| position.transaction_id)),
            position.map(|position| position.id).into(),
        ];
        let row = db
            .query_one_raw(Statement::from_sql_and_values(backend, sql, values))
            .await?;
        let row = row.ok_or_else(no_feed)?;
        Ok(Self::read(&mut Columns::of(&row))?)
    }

    fn read(columns: &mut Columns<'_>) -> Result<Self, DbErr> {
        Ok(Self {
            start: ChangeCursor::read(columns)?.ok_or_else(no_feed)?,
            first_id: columns.next()?,
            is_of_this_cluster: columns.next()?,
            entry: ChangeCursor::read(columns)?,
            last: ChangeCursor::read(columns)?,
            found: u64::try_from(columns.next::<i64>()?).unwrap_or_default(),
            held_back_since: columns.maybe()?,
        })
    }

    /// Whether all that followed a cursor is still there.
    fn can_continue_from(&self, cursor: ChangeCursor) -> bool {
        let is_kept = self.entry == Some(cursor) && cursor.position.id >= self.first_id;
        cursor == self.start || is_kept && cursor.position > self.start.position
    }
}

fn no_feed() -> DbErr {
    DbErr::Custom("the feed of changes has no row".to_owned())
}

/// The number of an entry's transaction.
pub(super) fn transaction_id(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Sqlite => "0",
        _ => "transaction_id",
    }
}

/// The columns that the feed is ordered by.
pub(super) fn order(backend: DbBackend, direction: &str) -> String {
    match backend {
        DbBackend::Sqlite => format!("id {direction}"),
        _ => format!("transaction_id {direction}, id {direction}"),
    }
}

/// The last of up to so many entries after position `$1`, `$2`, or after the start without one; the state of the feed;
/// and the entry with the id `$2`.
fn sql(backend: DbBackend, descending: bool, entries: u64) -> String {
    let transaction_id = transaction_id(backend);
    let after_id = "(SELECT coalesce(CAST($2 AS bigint), after_id) FROM change_feed)";
    let after_transaction =
        "(SELECT coalesce(CAST($1 AS bigint), after_transaction_id) FROM change_feed)";
    let (is_shown, is_of_this_cluster) = match backend {
        DbBackend::Sqlite => (
            format!("id > {after_id} AND {after_transaction} = 0"),
            "true",
        ),
        _ => (
            format!(
                "(transaction_id, id) > ({after_transaction}, {after_id}) AND transaction_id < {ALL_ENDED_BELOW}"
            ),
            "f.cluster IS NOT DISTINCT FROM (SELECT system_identifier FROM pg_control_system())",
        ),
    };
    let by = order(backend, if descending { "DESC" } else { "" });
    let held_back = held_back::sql(backend);
    let of_entry = match backend {
        DbBackend::Sqlite => "0",
        _ => "e.transaction_id",
    };
    format!(
        "WITH found AS (
            SELECT {transaction_id} AS transaction_id, id FROM audit_entries
            WHERE {is_shown} AND id + 0 >= (SELECT first_id FROM change_feed)
            ORDER BY {by} LIMIT {entries}
        ), last_found AS (
            SELECT transaction_id, id FROM found ORDER BY transaction_id DESC, id DESC LIMIT 1
        )
        SELECT f.after_transaction_id, f.after_id, f.after_at, f.first_id, {is_of_this_cluster},
            {of_entry}, e.id, e.at,
            l.transaction_id, l.id, (SELECT at FROM audit_entries WHERE id = l.id),
            (SELECT count(*) FROM found), ({held_back})
        FROM change_feed f
        LEFT JOIN audit_entries e ON e.id = CAST($2 AS bigint)
        LEFT JOIN last_found l ON true"
    )
}

/// Begins the feed again where a dump was restored into another cluster, whose numbers of transactions are lower than
/// those of the entries: new entries would be shown before the restored ones. Where they are higher, the order
/// still holds, and so do the cursors.
async fn move_to_this_cluster(db: &impl ConnectionTrait) -> Result<(), Error> {
    let backend = db.get_database_backend();
    db.execute_raw(Statement::from_string(backend, moves_to_this_cluster()))
        .await?;
    tracing::warn!(
        "the database was restored into another cluster, and cursors of the feed of changes may have expired"
    );
    Ok(())
}

pub(super) fn moves_to_this_cluster() -> String {
    format!(
        "UPDATE change_feed SET cluster = here.cluster,
            first_id = CASE WHEN is_ahead THEN next_id ELSE first_id END,
            after_transaction_id = CASE WHEN is_ahead THEN 0 ELSE after_transaction_id END,
            after_id = CASE WHEN is_ahead THEN next_id - 1 ELSE after_id END,
            after_at = CASE WHEN is_ahead THEN now() ELSE after_at END
        FROM (
            SELECT (SELECT system_identifier FROM pg_control_system()) AS cluster,
                greatest(f.first_id, max(e.id) + 1) AS next_id,
                count(e.id) > 0 OR f.after_transaction_id >= {NONE_ENDED_FROM} AS is_ahead
            FROM change_feed f LEFT JOIN audit_entries e ON e.transaction_id >= {NONE_ENDED_FROM}
            GROUP BY f.id
        ) AS here
        WHERE change_feed.cluster IS DISTINCT FROM here.cluster"
    )
}

/// Records that all entries from before this time are about to be deleted, in the transaction that says so in the audit.
/// The feed then starts after the last of them.
pub(crate) async fn record_pruned(
    db: &impl ConnectionTrait,
    before: DateTime<Utc>,
) -> Result<ExecResult, DbErr> {
    let backend = db.get_database_backend();
    let transaction_id = transaction_id(backend);
    let is_numbered = match backend {
        DbBackend::Sqlite => "true",
        _ => "transaction_id IS NOT NULL",
    };
    let by = order(backend, "DESC");
    let sql = format!(
        "UPDATE change_feed SET after_transaction_id = gone.transaction_id, after_id = gone.id, after_at = gone.at
        FROM (
            SELECT {transaction_id} AS transaction_id, id, at FROM audit_entries
            WHERE at < $1 AND {is_numbered} AND id + 0 >= (SELECT first_id FROM change_feed)
            ORDER BY {by} LIMIT 1
        ) AS gone
        WHERE (gone.transaction_id, gone.id) > (after_transaction_id, after_id)"
    );
    let statement = Statement::from_sql_and_values(backend, sql, [before.into()]);
    db.execute_raw(statement).await
}

impl Window {
    /// The condition of what follows its start, that of its entries among these, and the values in both; `last` is its last
    /// entry. With `id + 0`, PostgreSQL does not choose the index of ids, by which it would read all that the feed ever had; `IS NOT
    /// NULL` is the condition of the index that it is to choose.
    pub(super) fn conditions(
        &self,
        backend: DbBackend,
        last: Position,
    ) -> ([&'static str; 2], Vec<Value>) {
        let (after, first_id) = (self.after.position, self.first_id);
        let (conditions, numbers) = match backend {
            DbBackend::Sqlite => (
                ["id > $1 AND id + 0 >= $2", "id <= $3"],
                vec![after.id, first_id, last.id],
            ),
            _ => (
                [
                    "transaction_id IS NOT NULL AND (transaction_id, id) > ($1, $2) AND id + 0 >= $3",
                    "(transaction_id, id) <= ($4, $5)",
                ],
                vec![
                    after.transaction_id,
                    after.id,
                    first_id,
                    last.transaction_id,
                    last.id,
                ],
            ),
        };
        (conditions, numbers.into_iter().map(Value::from).collect())
    }
}
