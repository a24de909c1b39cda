//! The format of events (HTML Standard, section 9.2.6).

use sea_orm::QueryResult;

use crate::{
    changes::{
        cursor::{ChangeCursor, Position},
        dto::ChangeRow,
    },
    error::Error,
    http::{ProblemKind, RequestId},
    rows::{self, Columns},
};

/// A change as an event, and what filters need of it.
#[derive(Debug)]
pub(super) struct ChangeEvent {
    pub(super) position: Position,
    pub(super) resource: String,
    pub(super) action: String,
    pub(super) circle_id: Option<i64>,
    pub(super) text: String,
}

impl ChangeEvent {
    /// Reads the row of a change.
    pub(super) fn read(row: &QueryResult) -> Result<Self, Error> {
        const BYTES: usize = 1 << 9;
        let ChangeCursor { position, .. } = ChangeCursor::of(&mut Columns::of(row))?;
        let change = ChangeRow::read(&mut Columns::of(row))?;
        let json = rows::to_json(&change, BYTES)?;
        // JSON has no line breaks, so it is one line of data.
        let json = String::from_utf8_lossy(&json);
        Ok(Self {
            position,
            resource: change.resource.as_str().to_owned(),
            action: change.action.as_str().to_owned(),
            circle_id: change.circle_id,
            text: format!("id: {}\nevent: change\ndata: {json}\n\n", change.cursor),
        })
    }
}

/// What a stream begins with: after how long a client that lost it connects again, and where it is.
pub(super) fn beginning(retry_milliseconds: usize, cursor: ChangeCursor) -> String {
    format!("retry: {retry_milliseconds}\n{}", place(cursor))
}

/// The place to continue from, without an event.
pub(super) fn place(cursor: ChangeCursor) -> String {
    format!("id: {}\n\n", cursor.encode())
}

/// A comment: clients ignore it, and proxies see that the stream is alive.
pub(super) const HEARTBEAT: &str = ": heartbeat\n\n";

/// Why the stream ends.
pub(super) fn problem(kind: &ProblemKind<'_>, request_id: &RequestId) -> String {
    let problem = kind.body(request_id);
    let problem = String::from_utf8_lossy(&problem);
    format!("event: problem\ndata: {problem}\n\n")
}
