//! The formats that the description gives to strings.

use chrono::{DateTime, Datelike, NaiveDate};
use entity::values::stored;
use serde_json::Value;

#[derive(Clone, Copy, Debug)]
pub(super) enum Format {
    Date,
    DateTime,
}

impl Format {
    pub(super) fn compile(format: &Value) -> Option<Self> {
        match format.as_str() {
            Some("date") => Some(Self::Date),
            Some("date-time") => Some(Self::DateTime),
            _ => None,
        }
    }

    pub(super) fn matches(self, text: &str) -> bool {
        match self {
            Self::Date => is_full_date(text),
            Self::DateTime => is_date_time(text),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Date => "a date, as 2026-01-31",
            Self::DateTime => {
                "a date and time with its offset, as 2026-01-31T12:00:00Z \
                 (in a query, + is written %2B)"
            }
        }
    }
}

/// RFC 3339's full-date. chrono alone also accepts blanks, short months and years beyond 9999.
fn is_full_date(text: &str) -> bool {
    text.len() == 10
        && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok_and(|date| date.to_string() == text)
}

/// RFC 3339's date-time, whose letters may be lower-case. chrono alone also accepts a blank in place of the T.
/// The year has four digits in UTC too, because SQLite compares timestamps as text.
fn is_date_time(text: &str) -> bool {
    matches!(text.as_bytes().get(10), Some(b'T' | b't'))
        && DateTime::parse_from_rfc3339(text)
            .ok()
            .and_then(|timestamp| stored(timestamp.to_utc()))
            .is_some_and(|timestamp| (0..=9999).contains(&timestamp.year()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_has_a_time_and_an_offset() {
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31t12:00:00z",
            "2026-01-31T12:00:00.123456+02:00",
            "0000-01-01T00:00:00Z",
            "2026-06-30T23:59:60Z",
            "2026-01-31T12:00:00.123456789Z",
        ] {
            assert!(is_date_time(text), "{text}");
        }
        for text in [
            "2026-01-31",
            "2026-01-31T12:00:00",
            "2026-01-31T12:00:00 02:00",
            "2026-01-31 12:00:00Z",
            "2026-02-30T12:00:00Z",
            "9999-12-31T23:59:59-01:00",
            "9999-12-31T23:59:60Z",
            "2026-01-31T12:00:61Z",
            "0000-01-01T00:00:00+01:00",
            "1767225600",
            "",
        ] {
            assert!(!is_date_time(text), "{text}");
        }
    }

    #[test]
    fn a_date_has_four_two_and_two_digits() {
        assert!(is_full_date("2026-01-31"));
        for text in [
            "2026-1-31",
            " 2026-1-31",
            "2026-02-30",
            "+12026-01-31",
            "-0001-01-31",
        ] {
            assert!(!is_full_date(text), "{text}");
        }
    }
}
