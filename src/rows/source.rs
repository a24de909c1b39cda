//! The drivers' rows, column by column.

use chrono::{DateTime, NaiveDate, Utc};
use entity::values::{CircleStatus, JsonObject, MemberRole, StringList};
use sea_orm::{
    DbErr, QueryResult,
    sqlx::{
        ColumnIndex, Decode, Postgres, Row, Sqlite, ValueRef,
        postgres::{PgRow, PgValueFormat},
        sqlite::SqliteRow,
    },
};
use serde::de::{self, Deserialize, value::BorrowedStrDeserializer};
use serde_json::value::RawValue;
use simdutf8::basic::from_utf8;

use super::{JsonText, Stored};

pub(crate) type Value<'r, R> = <<R as Row>::Database as sea_orm::sqlx::Database>::ValueRef<'r>;

/// What a driver's rows are read by.
pub(crate) trait Source: Row {
    fn integer(value: Value<'_, Self>) -> Result<i64, DbErr>;
    fn number(value: Value<'_, Self>) -> Result<f64, DbErr>;
    fn flag(value: Value<'_, Self>) -> Result<bool, DbErr>;
    fn text_bytes(value: Value<'_, Self>) -> Result<&[u8], DbErr>;
    fn moment(value: Value<'_, Self>) -> Result<DateTime<Utc>, DbErr>;
    fn date(value: Value<'_, Self>) -> Result<NaiveDate, DbErr>;
    fn json(value: Value<'_, Self>) -> Result<&[u8], DbErr>;
    fn write_moment(value: Value<'_, Self>, json: &mut JsonText) -> Result<(), DbErr>;

    fn text(value: Value<'_, Self>) -> Result<&str, DbErr> {
        from_utf8(Self::text_bytes(value)?).map_err(undecoded)
    }
}

macro_rules! decoded {
    ($($name:ident -> $type:ty),*) => {$(
        fn $name(value: Value<'_, Self>) -> Result<$type, DbErr> {
            Decode::<<Self as Row>::Database>::decode(value).map_err(undecoded)
        }
    )*};
}

impl Source for PgRow {
    decoded!(number -> f64, flag -> bool, date -> NaiveDate);

    /// A `bigint` is what most integers are; the driver asks which of three types it is.
    fn integer(value: Value<'_, Self>) -> Result<i64, DbErr> {
        if let (PgValueFormat::Binary, Ok(bytes)) = (value.format(), value.as_bytes())
            && let Ok(bytes) = bytes.try_into()
        {
            return Ok(i64::from_be_bytes(bytes));
        }
        Decode::<Postgres>::decode(value).map_err(undecoded)
    }

    fn text_bytes(value: Value<'_, Self>) -> Result<&[u8], DbErr> {
        value.as_bytes().map_err(undecoded)
    }

    fn moment(value: Value<'_, Self>) -> Result<DateTime<Utc>, DbErr> {
        if value.format() == PgValueFormat::Text {
            return Decode::<Postgres>::decode(value).map_err(undecoded);
        }
        DateTime::from_timestamp_micros(micros(value)?).ok_or_else(out_of_range)
    }

    /// PostgreSQL stores nothing that is not JSON, and sends nothing that is not UTF-8. Before the text
    /// of a `jsonb` goes the number of its format, which is 1 (PostgreSQL's source, `jsonb_send`).
    fn json(value: Value<'_, Self>) -> Result<&[u8], DbErr> {
        match (value.format(), Self::text_bytes(value)?) {
            (PgValueFormat::Binary, text) => text
                .strip_prefix(&[1])
                .ok_or_else(|| DbErr::Type("a jsonb of an unknown format".to_owned())),
            (PgValueFormat::Text, text) => Ok(text),
        }
    }

    fn write_moment(value: Value<'_, Self>, json: &mut JsonText) -> Result<(), DbErr> {
        match value.format() {
            PgValueFormat::Binary => json.micros(micros(value)?),
            PgValueFormat::Text => json.moment(Self::moment(value)?),
        }
    }
}

/// The microseconds from 1970 to a moment. PostgreSQL counts them from the year 2000 (its source,
/// `timestamptz_send`). The driver goes by way of the calendar, which takes three times as long.
fn micros(value: Value<'_, PgRow>) -> Result<i64, DbErr> {
    const YEAR_2000: i64 = 946_684_800_000_000;
    let micros = PgRow::integer(value)?.checked_add(YEAR_2000);
    micros.ok_or_else(out_of_range)
}

#[cold]
pub(super) fn out_of_range() -> DbErr {
    DbErr::Type("a moment out of range".to_owned())
}

impl Source for SqliteRow {
    decoded!(integer -> i64, number -> f64, flag -> bool, moment -> DateTime<Utc>, date -> NaiveDate);

    /// SQLite gives a text's bytes as it gives a blob.
    fn text_bytes(value: Value<'_, Self>) -> Result<&[u8], DbErr> {
        Decode::<Sqlite>::decode(value).map_err(undecoded)
    }

    /// SQLite stores any text, so that it is looked at.
    fn json(value: Value<'_, Self>) -> Result<&[u8], DbErr> {
        let text = Self::text(value)?;
        let json: &RawValue = serde_json::from_str(text).map_err(undecoded)?;
        Ok(json.get().as_bytes())
    }

    /// SQLite stores moments as texts, and those that this service stored need no more than their `Z`.
    fn write_moment(value: Value<'_, Self>, json: &mut JsonText) -> Result<(), DbErr> {
        let text = Self::text(value)?;
        if let Some(written) = text.strip_suffix("+00:00").filter(|text| is_written(text)) {
            json.push("\"");
            json.push(written);
            json.push("Z\"");
            return Ok(());
        }
        json.moment(text.parse().map_err(undecoded)?)
    }
}

/// Whether this is a moment with as many digits as there are to show.
fn is_written(text: &str) -> bool {
    const PLACES: &str = "0000-00-00T00:00:00.000000";
    matches!(text.len(), 19 | 23 | 26)
        && (text.len() == 19 || !text.ends_with("000"))
        && text
            .bytes()
            .zip(PLACES.bytes())
            .all(|(byte, place)| byte == place || (place == b'0' && byte.is_ascii_digit()))
}

/// The driver has no such column.
#[cold]
pub(super) fn missing(index: usize) -> DbErr {
    DbErr::Type(format!("there is no column {index}"))
}

#[cold]
#[expect(clippy::needless_pass_by_value, reason = "what map_err hands over")]
pub(super) fn undecoded(error: impl ToString) -> DbErr {
    DbErr::Type(error.to_string())
}

/// What a column can be decoded to; texts stay where they are.
pub(crate) trait Cell<'r>: Sized {
    fn read<R: Source>(value: Value<'r, R>) -> Result<Self, DbErr>;
}

macro_rules! cells {
    ($($type:ty: |$value:ident| $read:expr),* $(,)?) => {$(
        impl<'r> Cell<'r> for $type {
            fn read<R: Source>($value: Value<'r, R>) -> Result<Self, DbErr> {
                $read
            }
        }
    )*};
}

cells! {
    i64: |value| R::integer(value),
    i32: |value| R::integer(value)?.try_into().map_err(undecoded),
    f64: |value| R::number(value),
    bool: |value| R::flag(value),
    &'r str: |value| R::text(value),
    String: |value| R::text(value).map(ToOwned::to_owned),
    Stored<'r>: |value| R::json(value).map(Stored),
    DateTime<Utc>: |value| R::moment(value),
    NaiveDate: |value| R::date(value),
    StringList: |value| serde_json::from_slice(R::json(value)?).map_err(undecoded),
    JsonObject: |value| serde_json::from_slice(R::json(value)?).map_err(undecoded),
    CircleStatus: |value| named(R::text(value)?),
    MemberRole: |value| named(R::text(value)?),
}

/// A member of an enum, which SeaORM would make a string of its own for.
fn named<'r, T: Deserialize<'r>>(text: &'r str) -> Result<T, DbErr> {
    T::deserialize(BorrowedStrDeserializer::<de::value::Error>::new(text)).map_err(undecoded)
}

/// A column of a row; `None` where it is null. (SeaORM's own way asks for the type each time, and
/// makes an error of a null, with a text.)
pub(super) fn read<'r, T: Cell<'r>>(
    row: &'r QueryResult,
    index: usize,
) -> Result<Option<T>, DbErr> {
    fn of<'r, R: Source, T: Cell<'r>>(row: &'r R, index: usize) -> Result<Option<T>, DbErr>
    where
        usize: ColumnIndex<R>,
    {
        let Ok(value) = row.try_get_raw(index) else {
            return Err(missing(index));
        };
        if value.is_null() {
            return Ok(None);
        }
        T::read::<R>(value).map(Some)
    }
    if let Some(row) = row.try_as_pg_row() {
        of(row, index)
    } else if let Some(row) = row.try_as_sqlite_row() {
        of(row, index)
    } else {
        Err(DbErr::Type("a row of an unknown database".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::{ActiveEnum, Iterable};

    use super::*;

    #[test]
    fn an_enum_is_read_by_the_names_that_it_is_stored_by() {
        for role in MemberRole::iter() {
            assert_eq!(named(&role.to_value()), Ok(role));
        }
        for status in CircleStatus::iter() {
            assert_eq!(named(&status.to_value()), Ok(status));
        }
        assert!(named::<MemberRole>("boss").is_err());
    }

    #[test]
    fn a_moment_that_was_stored_as_it_is_written_is_known() {
        for (text, written) in [
            ("2026-11-24T09:05:07", true),
            ("2026-11-24T09:05:07.123", true),
            ("2026-11-24T09:05:07.123456", true),
            ("2026-11-24T09:05:07.120", true),
            ("2026-11-24T09:05:07.000", false),
            ("2026-11-24T09:05:07.123000", false),
            ("2026-11-24T09:05:07.12", false),
            ("2026-11-24T09:05:07.123456789", false),
            ("2026-11-24 09:05:07", false),
            ("2026-11-24", false),
            ("", false),
        ] {
            assert_eq!(is_written(text), written, "{text}");
        }
    }
}
