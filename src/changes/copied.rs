//! The feed after all rows were copied into another database.

use sea_orm::DbBackend;

use super::feed;

/// The number of the transaction of every entry that comes from SQLite. Cursors from there have it, and all entries that
/// PostgreSQL adds have greater ones. So those cursors hold.
pub(crate) const TRANSACTION_ID_FROM_SQLITE: &str = "0";

/// SQLite has no numbers of transactions. So the feed shows the entries by their ids, from the first that is kept, and
/// cursors with a number have expired: entries that follow them may have lower ids.
const SHOW_BY_ID: &str = "UPDATE change_feed SET cluster = NULL, after_transaction_id = 0, \
    after_id = CASE WHEN after_transaction_id = 0 THEN after_id \
      ELSE coalesce((SELECT min(id) - 1 FROM audit_entries WHERE id >= first_id), max(after_id, first_id - 1)) END";

/// The statement that makes the feed continue in a database of one kind, with all rows of one of the other; `None` if
/// nothing has to change.
pub(crate) fn continues_after_copy(from: DbBackend, to: DbBackend) -> Option<String> {
    match (from, to) {
        (DbBackend::Sqlite, DbBackend::Sqlite) => None,
        (_, DbBackend::Sqlite) => Some(SHOW_BY_ID.to_owned()),
        // Also where it was the same cluster: then it changes nothing.
        _ => Some(feed::moves_to_this_cluster()),
    }
}
