//! What changes look like on the wire.

use poem_openapi::Object;
use sea_orm::DbErr;
use serde::Serialize;

use super::cursor::ChangeCursor;
use crate::rows::{Columns, Text, Timestamp};

/// One change of one resource, without values.
#[derive(Debug, Object, Serialize)]
#[oai(rename = "Change")]
pub(crate) struct ChangeRow<'r> {
    /// The position of this change, for `after`.
    pub(crate) cursor: String,
    /// When the change was made (UTC). Changes are not exactly in the order of their times.
    pub(crate) at: Timestamp<'r>,
    /// The action, as in the audit trail: `create`, `update`, `delete`, `restore`, `start`, `stop`, `revoke`, `import` or
    /// `prune`. More actions may be added.
    pub(crate) action: Text<'r>,
    /// The kind of resource, as in the audit trail: `agent`, `circle`, `member` and so on. More kinds may be added.
    pub(crate) resource: Text<'r>,
    /// The id of the resource; null for a release, an import and a prune.
    #[oai(nullable)]
    pub(crate) resource_id: Option<i64>,
    /// The resource's name at that time, or its path, as in the audit trail: `CIRCLE/AGENT_ID` for a member.
    #[oai(nullable)]
    pub(crate) name: Option<Text<'r>>,
    /// The id of the circle that was changed, or whose member, release, label, conversation, participant or message was.
    #[oai(nullable)]
    pub(crate) circle_id: Option<i64>,
    /// The resource's revision after the change, which is the second number of its ETag; null if it has none. Of two changes
    /// of one resource that were made at the same time, the one with the higher revision is the later one.
    #[oai(nullable)]
    pub(crate) revision: Option<i64>,
    /// The `X-Request-Id` of the request that made the change; null on the command line.
    #[oai(nullable)]
    pub(crate) request_id: Option<Text<'r>>,
}

impl<'r> ChangeRow<'r> {
    /// The columns after the position and the time.
    pub(super) const COLUMNS: [&'static str; 7] = [
        "action",
        "resource",
        "resource_id",
        "name",
        "circle_id",
        "revision",
        "request_id",
    ];

    /// Reads a position, a time and [`Self::COLUMNS`].
    pub(crate) fn read(columns: &mut Columns<'r>) -> Result<Self, DbErr> {
        let cursor = ChangeCursor::of(columns)?;
        Ok(Self {
            cursor: cursor.encode(),
            at: Timestamp::Decoded(cursor.at),
            action: columns.next()?,
            resource: columns.next()?,
            resource_id: columns.maybe()?,
            name: columns.maybe()?,
            circle_id: columns.maybe()?,
            revision: columns.maybe()?,
            request_id: columns.maybe()?,
        })
    }
}

/// A part of the feed of changes.
#[derive(Debug, Object, Serialize)]
pub(crate) struct ChangePage<'r> {
    /// The changes after `after`, in their order.
    pub(crate) data: Vec<ChangeRow<'r>>,
    /// The `after` of the next request. It is always there, also where `data` is empty: then it may have moved past
    /// changes that the filters leave out.
    pub(crate) next_cursor: String,
    /// Whether more changes may follow at once. Otherwise a follower waits before it asks again.
    pub(crate) has_more: bool,
    /// The time of the first change that is committed but not shown yet, because an earlier transaction still runs on the
    /// database server; null if there is none.
    #[oai(nullable)]
    pub(crate) held_back_since: Option<Timestamp<'r>>,
}
