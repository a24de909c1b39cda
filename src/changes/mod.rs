//! The feed of changes: the audit entries in one order, for those who follow them. `write` inserts the entries.
//!
//! Nothing that is committed later ever appears before a cursor that was given out. On SQLite, the one writer makes ids
//! in the order of the commits. On PostgreSQL the order is that of transactions, by their numbers and then by ids, and an
//! entry is shown when no transaction with its number or a lower one can still commit.
//!
//! Start with `feed.rs`, which reads the state of the feed in one statement; `cursor.rs` is a position in it;
//! `copied.rs` continues it in another database. `events/` sends
//! the feed as it grows.

mod api;
mod copied;
mod cursor;
mod dto;
mod events;
mod feed;
mod held_back;
mod queries;

pub(crate) use api::{ChangesApi, parse_after};
pub(crate) use copied::{TRANSACTION_ID_FROM_SQLITE, continues_after_copy};
pub(crate) use cursor::ChangeCursor;
pub(crate) use dto::ChangeRow;
pub(crate) use events::{Events, Heard, Subscription};
pub(crate) use feed::{After, find_place, record_pruned};
pub(crate) use held_back::held_back_since;
pub(crate) use queries::{ChangeFilter, Following, list};
