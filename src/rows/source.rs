//! Reads columns of the drivers' rows.

use chrono::{DateTime, NaiveDate, Utc};
use entity::{
    params::ModelParams,
    price::Price,
    values::{
        AgentStatus, Author, CircleStatus, ConversationStatus, JsonObject, MemberRole, StringList,
        Transport, TurnStrategy,
    },
    webhook_values::PauseReason,
};
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

use super::value::{Json, RawJson, Text, Timestamp};

pub(crate) type Value<'r, R> = <<R as Row>::Database as sea_orm::sqlx::Database>::ValueRef<'r>;

/// A driver's row, and how each type is read from one of its columns.
pub(crate) trait Source: Row {
    fn i64(value: Value<'_, Self>) -> Result<i64, DbErr>;
    fn f64(value: Value<'_, Self>) -> Result<f64, DbErr>;
    fn bool(value: Value<'_, Self>) -> Result<bool, DbErr>;
    fn string_bytes(value: Value<'_, Self>) -> Result<&[u8], DbErr>;
    fn timestamp(value: Value<'_, Self>) -> Result<Timestamp<'_>, DbErr>;
    fn date(value: Value<'_, Self>) -> Result<NaiveDate, DbErr>;
    fn json(value: Value<'_, Self>) -> Result<RawJson<'_>, DbErr>;

    fn string(value: Value<'_, Self>) -> Result<&str, DbErr> {
        from_utf8(Self::string_bytes(value)?).map_err(undecoded)
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
    decoded!(f64 -> f64, bool -> bool, date -> NaiveDate);

    /// Most integers are `bigint`. The driver tries three types.
    fn i64(value: Value<'_, Self>) -> Result<i64, DbErr> {
        if let (PgValueFormat::Binary, Ok(bytes)) = (value.format(), value.as_bytes())
            && let Ok(bytes) = bytes.try_into()
        {
            return Ok(i64::from_be_bytes(bytes));
        }
        Decode::<Postgres>::decode(value).map_err(undecoded)
    }

    fn string_bytes(value: Value<'_, Self>) -> Result<&[u8], DbErr> {
        value.as_bytes().map_err(undecoded)
    }

    /// PostgreSQL counts microseconds from the year 2000 (its source, `timestamptz_send`). The driver
    /// goes by way of the calendar, which takes three times as long.
    fn timestamp(value: Value<'_, Self>) -> Result<Timestamp<'_>, DbErr> {
        const YEAR_2000: i64 = 946_684_800_000_000;
        if value.format() == PgValueFormat::Text {
            return Decode::<Postgres>::decode(value)
                .map(Timestamp::Decoded)
                .map_err(undecoded);
        }
        let micros = Self::i64(value)?.checked_add(YEAR_2000);
        let time = micros.and_then(DateTime::from_timestamp_micros);
        let time = time.ok_or_else(|| DbErr::Type("a timestamp out of range".to_owned()))?;
        Ok(Timestamp::Decoded(time))
    }

    /// PostgreSQL stores no invalid JSON: free JSON is `text` with a check, lists are `jsonb`. The text of a `jsonb` follows
    /// the number of its format, which is 1 (PostgreSQL's source, `jsonb_send`).
    fn json(value: Value<'_, Self>) -> Result<RawJson<'_>, DbErr> {
        let bytes = Self::string_bytes(value)?;
        Ok(RawJson(bytes.strip_prefix(&[1]).unwrap_or(bytes)))
    }
}

impl Source for SqliteRow {
    decoded!(i64 -> i64, f64 -> f64, bool -> bool, date -> NaiveDate);

    /// SQLite gives a text's bytes as it gives a blob.
    fn string_bytes(value: Value<'_, Self>) -> Result<&[u8], DbErr> {
        Decode::<Sqlite>::decode(value).map_err(undecoded)
    }

    /// SQLite stores any string, so it is validated.
    fn json(value: Value<'_, Self>) -> Result<RawJson<'_>, DbErr> {
        let bytes = Self::string_bytes(value)?;
        let json: &RawValue = serde_json::from_slice(bytes).map_err(undecoded)?;
        Ok(json.into())
    }

    fn timestamp(value: Value<'_, Self>) -> Result<Timestamp<'_>, DbErr> {
        Timestamp::parse(Self::string(value)?).map_err(undecoded)
    }
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

/// A type that a column can be decoded to. Strings are borrowed.
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
    (): |_value| Ok(()),
    i64: |value| R::i64(value),
    i32: |value| R::i64(value)?.try_into().map_err(undecoded),
    f64: |value| R::f64(value),
    bool: |value| R::bool(value),
    &'r str: |value| R::string(value),
    String: |value| R::string(value).map(ToOwned::to_owned),
    Text<'r>: |value| R::string(value).map(Text::from),
    RawJson<'r>: |value| R::json(value),
    DateTime<Utc>: |value| R::timestamp(value)?.decode().map_err(undecoded),
    Timestamp<'r>: |value| R::timestamp(value),
    NaiveDate: |value| R::date(value),
    Price: |value| R::i64(value).map(Price::from_stored),
    StringList: |value| R::json(value)?.parse(),
    ModelParams: |value| R::json(value)?.as_str().map(ModelParams::from_stored),
    JsonObject: |value| R::json(value)?.as_str().map(JsonObject::from_stored),
}

impl<'r, T> Cell<'r> for Json<'r, T> {
    fn read<R: Source>(value: Value<'r, R>) -> Result<Self, DbErr> {
        RawJson::read::<R>(value).map(Json::Stored)
    }
}

/// Enums are stored as their names.
macro_rules! enum_cells {
    ($($type:ty),*) => {
        cells! { $($type: |value| named(R::string(value)?),)* }
    };
}

enum_cells!(
    AgentStatus,
    Author,
    CircleStatus,
    ConversationStatus,
    MemberRole,
    PauseReason,
    Transport,
    TurnStrategy
);

/// Decodes an enum without the copy of the string that SeaORM makes.
fn named<'r, T: Deserialize<'r>>(text: &'r str) -> Result<T, DbErr> {
    T::deserialize(BorrowedStrDeserializer::<de::value::Error>::new(text)).map_err(undecoded)
}

/// A column of a row; `None` if it is null. (SeaORM's `try_get` checks the type each time, and builds an error
/// for a null.)
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
    use std::fmt::Debug;

    use sea_orm::{ActiveEnum, Iterable};

    use super::*;

    #[test]
    fn an_enum_is_read_by_the_names_that_it_is_stored_by() {
        fn check<E>()
        where
            E: ActiveEnum<Value = String>
                + Iterable
                + PartialEq
                + Debug
                + for<'de> Deserialize<'de>,
        {
            for one in E::iter() {
                assert_eq!(named(&one.to_value()), Ok(one));
            }
        }
        check::<AgentStatus>();
        check::<Author>();
        check::<CircleStatus>();
        check::<ConversationStatus>();
        check::<MemberRole>();
        check::<TurnStrategy>();
        assert!(named::<MemberRole>("boss").is_err());
    }
}
