//! A position in the feed: an entry that was shown.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use sea_orm::DbErr;

use crate::{error::Error, rows::Columns};

/// The place of an entry in the order of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// The number of the transaction; 0 on SQLite.
    pub(crate) transaction_id: i64,
    pub(crate) id: i64,
}

/// The entry after which a page starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChangeCursor {
    pub(crate) position: Position,
    /// The entry's time. After a restored backup or a failover, another entry may have the place of one
    /// that was lost.
    pub(crate) at: DateTime<Utc>,
}

impl ChangeCursor {
    /// Cursors of other lists have other first bytes.
    const VERSION: u8 = 3;

    /// Reads the columns of a position and a time; `None` if they are null.
    pub(super) fn read(columns: &mut Columns<'_>) -> Result<Option<Self>, DbErr> {
        let (transaction_id, id) = (columns.maybe()?, columns.maybe()?);
        let at = columns.maybe()?;
        let place = transaction_id.zip(id).zip(at);
        Ok(place.map(|((transaction_id, id), at)| Self {
            position: Position { transaction_id, id },
            at,
        }))
    }

    /// Reads the columns of an entry.
    pub(crate) fn of(columns: &mut Columns<'_>) -> Result<Self, DbErr> {
        let missing = || DbErr::Type("an entry has no position".to_owned());
        Self::read(columns)?.ok_or_else(missing)
    }

    pub(crate) fn encode(self) -> String {
        let Position { transaction_id, id } = self.position;
        let mut bytes = vec![Self::VERSION];
        for number in [transaction_id, id, self.at.timestamp_micros()] {
            bytes.extend(number.to_be_bytes());
        }
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads the value of this parameter.
    ///
    /// # Errors
    /// A text that is no cursor of this list.
    pub(super) fn decode(text: &str, parameter: &str) -> Result<Self, Error> {
        Self::parse(text).ok_or_else(|| {
            let detail =
                "is neither `latest` nor a cursor that this service gave out for this list";
            Error::invalid(parameter, detail)
        })
    }

    /// `None` for a text that is no cursor of this list.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (numbers, []) = bytes.strip_prefix(&[Self::VERSION])?.as_chunks() else {
            return None;
        };
        let [transaction_id, id, at] = numbers
            .try_into()
            .ok()
            .map(|all: [[u8; 8]; 3]| all.map(i64::from_be_bytes))?;
        Some(Self {
            position: Position { transaction_id, id },
            at: DateTime::from_timestamp_micros(at)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_of_changes_reads_back_and_a_foreign_one_is_refused() {
        for (transaction_id, id, at) in [(0, 1, -1), (i64::MAX, i64::MAX, 1)] {
            let position = Position { transaction_id, id };
            let at = DateTime::from_timestamp_micros(at).expect("a time");
            let cursor = ChangeCursor { position, at };
            assert_eq!(
                ChangeCursor::parse(&cursor.encode()).expect("a cursor"),
                cursor
            );
        }
        for foreign in ["", "17", "!!!", "AwAAAAAAAAAB", "AQAAAAAAAAAB"] {
            assert_eq!(ChangeCursor::parse(foreign), None, "{foreign}");
        }
    }
}
