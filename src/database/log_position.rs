//! Places in the write-ahead log of a PostgreSQL server, by which a write is found on its replicas.

use std::{fmt, str::FromStr};

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};

/// A place in the log. Each promotion of a standby begins a new timeline, with the next number: what was written before and
/// is not there is lost. So of two places, that of the later timeline is the later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogPosition {
    timeline: u32,
    /// The number of bytes before it: a `pg_lsn`.
    lsn: u64,
}

/// No position of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAPosition;

impl LogPosition {
    /// Whether a server that is at this position has all that another one had at that one. One of another timeline may be
    /// further, on a way that parted earlier.
    pub(crate) fn includes(self, other: Self) -> bool {
        self.is_comparable(other) && self.lsn >= other.lsn
    }

    /// Whether both are of the same timeline.
    pub(crate) fn is_comparable(self, other: Self) -> bool {
        self.timeline == other.timeline
    }
}

/// As a decimal timeline, and PostgreSQL's notation of the place in it.
impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { timeline, lsn } = self;
        write!(f, "{timeline}-{:X}/{:X}", lsn >> 32, lsn & 0xFFFF_FFFF)
    }
}

impl FromStr for LogPosition {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let (timeline, lsn) = text.trim().split_once('-').ok_or(NotAPosition)?;
        let (high, low) = lsn.split_once('/').ok_or(NotAPosition)?;
        let half = |digits| u32::from_str_radix(digits, 16).map_err(|_| NotAPosition);
        Ok(Self {
            timeline: timeline.parse().map_err(|_| NotAPosition)?,
            lsn: u64::from(half(high)?) << 32 | u64::from(half(low)?),
        })
    }
}

/// The end of a primary's log. Every transaction that is committed has its place before it, also one that was not waited for
/// (`synchronous_commit = off`), which `pg_current_wal_lsn` may not include.
pub(super) async fn end_of_log(db: &impl ConnectionTrait) -> Result<LogPosition, DbErr> {
    // The name of a file of the log begins with the timeline. No other function tells it to every user.
    const SQL: &str = "SELECT CAST(('x' || left(pg_walfile_name(lsn), 8))::bit(32) AS integer), \
                              CAST(lsn - '0/0' AS bigint) \
                       FROM pg_current_wal_insert_lsn() AS lsn";
    let row = row(db, SQL).await?;
    position(&row)?.ok_or_else(|| DbErr::RecordNotFound("the position of the log".to_owned()))
}

/// Up to where a standby has replayed the log; `None` for a server that is none.
///
/// The control file has the timeline of its last restart point, which may be minutes old. What the standby receives now is
/// told only to members of `pg_read_all_stats`.
pub(super) async fn end_of_replay(db: &impl ConnectionTrait) -> Result<Option<LogPosition>, DbErr> {
    const SQL: &str = "SELECT greatest(timeline_id, (SELECT received_tli FROM pg_stat_wal_receiver)), \
                              CASE WHEN pg_is_in_recovery() \
                                  THEN CAST(pg_last_wal_replay_lsn() - '0/0' AS bigint) END \
                       FROM pg_control_checkpoint()";
    position(&row(db, SQL).await?)
}

async fn row(db: &impl ConnectionTrait, sql: &'static str) -> Result<QueryResult, DbErr> {
    let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, sql));
    let none = || DbErr::RecordNotFound("the position of the log".to_owned());
    row.await?.ok_or_else(none)
}

fn position(row: &QueryResult) -> Result<Option<LogPosition>, DbErr> {
    let timeline: i32 = row.try_get_by_index(0)?;
    let lsn: Option<i64> = row.try_get_by_index(1)?;
    Ok(lsn.map(|lsn| LogPosition {
        timeline: timeline.cast_unsigned(),
        lsn: lsn.cast_unsigned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(text: &str) -> LogPosition {
        text.parse().expect(text)
    }

    #[test]
    fn a_position_is_read_as_it_is_written() {
        for text in ["1-0/16B3748", "2147483648-FFFFFFFF/0"] {
            assert_eq!(position(text).to_string(), text);
        }
        assert_eq!(position(" 1-00/a "), position("1-0/A"));
        for text in [
            "",
            "1",
            "1-0",
            "-0/1",
            "1-0/",
            "1-0/100000000",
            "1-0/1-2",
            "x-0/1",
        ] {
            assert_eq!(text.parse::<LogPosition>(), Err(NotAPosition), "{text}");
        }
    }

    #[test]
    fn a_position_includes_earlier_ones_of_its_timeline() {
        let (early, late) = (position("1-0/FFFFFFFF"), position("1-1/0"));
        assert!(late.includes(early) && late.includes(late) && !early.includes(late));
        let promoted = position("2-0/1");
        assert!(!promoted.includes(early) && !early.includes(promoted));
        assert!(early < late && late < promoted);
    }
}
