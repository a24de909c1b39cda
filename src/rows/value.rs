//! The types of a response's fields, borrowed from the row if possible.
//!
//! In the API's schemas a [`Text`] is a `String`, a [`Timestamp`] a `DateTime<Utc>`, and a [`Json`] the type that
//! it holds.

use std::{borrow::Cow, cmp::Ordering, collections::BTreeMap};

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, ParseError, Timelike, Utc};
use entity::{
    price::{Price, write_digits},
    values::{
        AgentStatus, Author, CircleStatus, ConversationStatus, MemberRole, Transport, TurnStrategy,
    },
    webhook_values::PauseReason,
};
use poem_openapi::{
    registry::{MetaSchemaRef, Registry},
    types::{ParseFromJSON, ParseResult, ToJSON, Type},
};
use sea_orm::DbErr;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
use serde_json::value::RawValue;
use simdutf8::basic::from_utf8;

/// A string.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'r>(Cow<'r, str>);

impl Text<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'r> From<Cow<'r, str>> for Text<'r> {
    fn from(text: Cow<'r, str>) -> Self {
        Self(text)
    }
}

impl<'r> From<&'r str> for Text<'r> {
    fn from(text: &'r str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl From<Text<'_>> for String {
    fn from(text: Text<'_>) -> Self {
        text.0.into_owned()
    }
}

/// The bytes of a JSON column, as stored. Most are only written, so they are not read as UTF-8 first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawJson<'r>(pub(super) &'r [u8]);

impl<'r> From<&'r RawValue> for RawJson<'r> {
    fn from(value: &'r RawValue) -> Self {
        Self(value.get().as_bytes())
    }
}

impl<'r> RawJson<'r> {
    pub(crate) const EMPTY_LIST: RawJson<'static> = RawJson(b"[]");
    pub(crate) const EMPTY_OBJECT: RawJson<'static> = RawJson(b"{}");

    /// Whether it is an empty list.
    pub(crate) fn is_empty_list(self) -> bool {
        self.0.iter().all(|byte| b"[] \t\r\n".contains(byte))
    }

    /// Whether it is an empty object.
    pub(crate) fn is_empty_object(self) -> bool {
        self.0.iter().all(|byte| b"{} \t\r\n".contains(byte))
    }

    /// Whether this stands in the text.
    pub(crate) fn contains(self, text: &str) -> bool {
        let mut parts = self.0.windows(text.len());
        parts.any(|part| part == text.as_bytes())
    }

    pub(crate) fn as_str(self) -> Result<&'r str, DbErr> {
        from_utf8(self.0).map_err(|error| DbErr::Json(error.to_string()))
    }

    /// The members of an object, by name.
    pub(crate) fn members(self) -> Result<Vec<(String, RawJson<'r>)>, DbErr> {
        if self.is_empty_object() {
            return Ok(Vec::new());
        }
        let members: BTreeMap<String, &RawValue> = self.parse_raw()?;
        let members = members.into_iter();
        Ok(members.map(|(name, value)| (name, value.into())).collect())
    }

    /// Parses a type of which parts are [`RawValue`]s, which sonic-rs does not know.
    pub(crate) fn parse_raw<T: Deserialize<'r>>(self) -> Result<T, DbErr> {
        serde_json::from_slice(self.0).map_err(|error| DbErr::Json(error.to_string()))
    }

    pub(crate) fn parse<T: Deserialize<'r>>(self) -> Result<T, DbErr> {
        sonic_rs::from_slice(self.0).map_err(|error| DbErr::Json(error.to_string()))
    }
}

/// [`to_json`](super::to_json) writes bytes unchanged; other serializers write an array of numbers.
impl Serialize for RawJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// A list or an object: the stored text, or the entity's value.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Json<'r, T> {
    Stored(RawJson<'r>),
    Owned(T),
}

impl<'r, T> Json<'r, T> {
    /// The text that it was read from.
    ///
    /// # Errors
    /// A value that was not read.
    pub(crate) fn stored(&self) -> Result<RawJson<'r>, DbErr> {
        match self {
            Self::Stored(json) => Ok(*json),
            Self::Owned(_) => Err(DbErr::Json("was not stored".to_owned())),
        }
    }
}

impl<'de: 'r, 'r, T> Deserialize<'de> for Json<'r, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = <&RawValue>::deserialize(deserializer)?;
        Ok(Self::Stored(value.into()))
    }
}

/// A point in time (UTC). A list of fifty circles has more than a hundred: chrono takes 50 microseconds to write
/// them, which is half of the server's time for the list, and this type 4.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Timestamp<'r> {
    Decoded(DateTime<Utc>),
    /// As SQLite stores it, without its `+00:00`. It has exactly the digits to show.
    Stored(&'r str),
}

impl<'r> Timestamp<'r> {
    /// A timestamp that SQLite stores as a string.
    pub(super) fn parse(text: &'r str) -> Result<Self, ParseError> {
        let shown = text.strip_suffix("+00:00").filter(|text| is_shown(text));
        shown.map_or_else(
            || text.parse().map(Self::Decoded),
            |text| Ok(Self::Stored(text)),
        )
    }

    pub(super) fn decode(self) -> Result<DateTime<Utc>, ParseError> {
        match self {
            Self::Decoded(time) => Ok(time),
            Self::Stored(text) => Ok(text.parse::<NaiveDateTime>()?.and_utc()),
        }
    }
}

/// By time. Stored strings are in its order, because they begin with the year.
impl Ord for Timestamp<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Stored(text), Self::Stored(other)) => text.cmp(other),
            _ => self.decode().ok().cmp(&other.decode().ok()),
        }
    }
}

impl PartialOrd for Timestamp<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Timestamp<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Timestamp<'_> {}

/// Whether it has as many digits as responses show: no fraction, milliseconds or microseconds.
fn is_shown(text: &str) -> bool {
    const PATTERN: &[u8] = b"0000-00-00T00:00:00.000000";
    let fits = |(byte, pattern): (u8, &u8)| {
        byte == *pattern || (*pattern == b'0' && byte.is_ascii_digit())
    };
    matches!(text.len(), 19 | 23 | 26)
        && (text.len() == 19 || !text.ends_with("000"))
        && text.bytes().zip(PATTERN).all(fits)
}

impl From<DateTime<Utc>> for Timestamp<'_> {
    fn from(time: DateTime<Utc>) -> Self {
        Self::Decoded(time)
    }
}

impl Serialize for Timestamp<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut shown = *b"0000-00-00T00:00:00.000000Z";
        let length = match self {
            Self::Stored(text) => {
                shown[..text.len()].copy_from_slice(text.as_bytes());
                text.len()
            }
            Self::Decoded(time) => match put_time(&mut shown, time) {
                Some(length) => length,
                None => return time.serialize(serializer),
            },
        };
        shown[length] = b'Z';
        let shown = str::from_utf8(&shown[..=length]).map_err(ser::Error::custom)?;
        serializer.serialize_str(shown)
    }
}

/// Writes the time, and returns its length; `None` for years beyond 9999, leap seconds and fractions
/// of a microsecond.
fn put_time(shown: &mut [u8; 27], time: &DateTime<Utc>) -> Option<usize> {
    let time = time.naive_utc();
    let (year, nanos) = (u32::try_from(time.year()).ok()?, time.nanosecond());
    if year > 9999 || nanos >= 1_000_000_000 || !nanos.is_multiple_of(1_000) {
        return None;
    }
    write_digits(&mut shown[0..4], year.into());
    write_digits(&mut shown[5..7], time.month().into());
    write_digits(&mut shown[8..10], time.day().into());
    write_digits(&mut shown[11..13], time.hour().into());
    write_digits(&mut shown[14..16], time.minute().into());
    write_digits(&mut shown[17..19], time.second().into());
    write_digits(&mut shown[20..26], (nanos / 1_000).into());
    Some(match nanos {
        0 => 19,
        _ if nanos.is_multiple_of(1_000_000) => 23,
        _ => 26,
    })
}

/// Converts a field of an entity to a field of a response.
pub(crate) trait FromField<T> {
    fn from_field(field: T) -> Self;
}

macro_rules! same_field {
    ($($type:ty),*) => {$(
        impl FromField<Self> for $type {
            fn from_field(field: Self) -> Self {
                field
            }
        }
    )*};
}

same_field!(
    bool,
    i32,
    i64,
    f64,
    NaiveDate,
    Price,
    AgentStatus,
    Author,
    CircleStatus,
    ConversationStatus,
    MemberRole,
    PauseReason,
    Transport,
    TurnStrategy
);

impl FromField<String> for Text<'_> {
    fn from_field(field: String) -> Self {
        field.into()
    }
}

impl FromField<DateTime<Utc>> for Timestamp<'_> {
    fn from_field(field: DateTime<Utc>) -> Self {
        field.into()
    }
}

impl<T> FromField<T> for Json<'_, T> {
    fn from_field(field: T) -> Self {
        Self::Owned(field)
    }
}

impl<T, U: FromField<T>> FromField<Option<T>> for Option<U> {
    fn from_field(field: Option<T>) -> Self {
        field.map(U::from_field)
    }
}

/// Declares a type in the API's schemas as another type.
macro_rules! declared_as {
    ([$($parameter:tt)*] $type:ty = $declared:ty $(where $bounded:ident: $bound:path)?) => {
        impl<$($parameter)*> Type for $type $(where $bounded: $bound)? {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                <$declared>::name()
            }

            fn schema_ref() -> MetaSchemaRef {
                <$declared>::schema_ref()
            }

            fn register(registry: &mut Registry) {
                <$declared>::register(registry);
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::empty())
            }
        }

        impl<$($parameter)*> ParseFromJSON for $type $(where $bounded: $bound + ParseFromJSON)? {
            fn parse_from_json(value: Option<serde_json::Value>) -> ParseResult<Self> {
                let declared = <$declared>::parse_from_json(value);
                declared.map(Self::from_field).map_err(|error| error.propagate())
            }
        }

        impl<$($parameter)*> ToJSON for $type $(where $bounded: $bound + Serialize)? {
            fn to_json(&self) -> Option<serde_json::Value> {
                serde_json::from_slice(&super::to_json(self, 0).ok()?).ok()
            }
        }
    };
}

declared_as!(['r] Text<'r> = String);
declared_as!(['r] Timestamp<'r> = DateTime<Utc>);
declared_as!(['r, T] Json<'r, T> = T where T: Type);

#[cfg(test)]
mod tests {
    use super::{super::to_json, *};

    fn written(value: &impl Serialize) -> String {
        let json = to_json(value, 0).expect("written");
        String::from_utf8(json).expect("UTF-8")
    }

    #[test]
    fn a_timestamp_is_written_as_serde_writes_it() {
        for text in [
            "-0001-12-31T23:59:59.999999Z",
            "0000-01-01T00:00:00Z",
            "1900-02-28T23:59:59.999Z",
            "1969-12-31T23:59:59.999999Z",
            "1970-01-01T00:00:00Z",
            "2000-02-29T12:34:56.12Z",
            "2026-11-24T09:05:07Z",
            "2026-11-24T09:05:07.5Z",
            "2026-11-24T09:05:07.000001Z",
            "2026-11-24T09:05:07.123456Z",
            "2026-11-24T09:05:07.123456789Z",
            "2016-12-31T23:59:60Z",
            "9999-12-31T23:59:59.999999Z",
            "+10000-01-01T00:00:00Z",
        ] {
            let timestamp: DateTime<Utc> = text.parse().expect(text);
            let expected = serde_json::to_string(&timestamp).expect("JSON");
            assert_eq!(written(&Timestamp::Decoded(timestamp)), expected, "{text}");
        }
        for (text, is_stored) in [
            ("2026-11-24T09:05:07+00:00", true),
            ("2026-11-24T09:05:07.123+00:00", true),
            ("2026-11-24T09:05:07.123456+00:00", true),
            ("2026-11-24T09:05:07.120+00:00", true),
            ("2026-11-24T09:05:07.000+00:00", false),
            ("2026-11-24T09:05:07.123000+00:00", false),
            ("2026-11-24T09:05:07.12+00:00", false),
            ("2026-11-24T09:05:07.123456789+00:00", false),
            ("2026-11-24 09:05:07+00:00", false),
            ("2026-11-24T09:05:07Z", false),
            ("2026-11-24T11:05:07+02:00", false),
        ] {
            let timestamp = Timestamp::parse(text).expect(text);
            assert_eq!(
                matches!(timestamp, Timestamp::Stored(_)),
                is_stored,
                "{text}"
            );
            let time: DateTime<Utc> = text.parse().expect(text);
            assert_eq!(timestamp.decode(), Ok(time), "{text}");
            assert_eq!(
                written(&timestamp),
                serde_json::to_string(&time).expect("JSON")
            );
        }
        for text in ["2026-11-24", "", "2026-13-24T09:05:07Z"] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
        for timestamp in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            let expected = serde_json::to_string(&timestamp).expect("JSON");
            assert_eq!(written(&Timestamp::Decoded(timestamp)), expected);
        }
    }

    #[test]
    fn stored_json_is_written_as_it_stands_and_read_on_demand() {
        for (text, is_empty) in [
            ("[]", true),
            (" [ ]\n", true),
            ("[\"\"]", false),
            ("[1]", false),
        ] {
            let json = RawJson(text.as_bytes());
            assert_eq!(json.is_empty_list(), is_empty, "{text}");
            assert_eq!(written(&json), text);
        }
        let items: Vec<String> = RawJson(br#"["a\n", "\u00e9"]"#).parse().expect("a list");
        assert_eq!(items, ["a\n", "é"]);
    }
}
