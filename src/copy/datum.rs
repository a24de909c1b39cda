//! The values of rows, as both databases have them.

use chrono::{DateTime, NaiveDate, Utc};

use crate::digest;

/// How a column is read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DatumKind {
    /// Whatever SQLite has stored; the target is SQLite, too.
    Stored,
    Bool,
    Integer,
    Real,
    Text,
    /// JSON of which PostgreSQL does not keep the text.
    Json,
    Time,
    Date,
    Bytes,
}

impl DatumKind {
    /// The kind of a type of PostgreSQL. There each type has one meaning; on SQLite, times, JSON and text are all text.
    pub(super) fn of_postgres(type_name: &str) -> Option<Self> {
        Some(match type_name {
            "boolean" => Self::Bool,
            "bigint" | "integer" | "smallint" => Self::Integer,
            "double precision" => Self::Real,
            // `json` keeps its text.
            "text" | "character varying" | "json" => Self::Text,
            "jsonb" => Self::Json,
            "timestamp with time zone" => Self::Time,
            "date" => Self::Date,
            "bytea" => Self::Bytes,
            _ => return None,
        })
    }
}

/// One value.
#[derive(Clone, Debug)]
pub(super) enum Datum {
    Null,
    Bool(bool),
    Integer(i64),
    Real(f64),
    Text(String),
    /// As it is read. [`compact`] is how the service writes it on SQLite.
    Json(String),
    Time(DateTime<Utc>),
    Date(NaiveDate),
    Bytes(Vec<u8>),
}

/// The values of a row, in the order of its table's columns.
pub(super) type DataRow = Vec<Datum>;

impl Datum {
    /// Appends what is the same on both databases. The length of each value is in it, so that no two rows are the same
    /// that differ.
    pub(super) fn append_canonical(&self, bytes: &mut Vec<u8>) {
        let mut append = |tag: u8, value: &[u8]| {
            bytes.push(tag);
            bytes.extend((value.len() as u64).to_be_bytes());
            bytes.extend_from_slice(value);
        };
        match self {
            Self::Null => append(0, &[]),
            Self::Bool(value) => append(1, &[u8::from(*value)]),
            Self::Integer(value) => append(2, &value.to_be_bytes()),
            // SQLite has no negative zero; the sum of it and zero is zero.
            Self::Real(value) => append(3, &(value + 0.0).to_bits().to_be_bytes()),
            Self::Text(value) => append(4, value.as_bytes()),
            // What is no JSON is refused by the target.
            Self::Json(value) => match digest::canonical(value) {
                Ok(canonical) => append(5, &canonical),
                Err(_) => append(5, value.as_bytes()),
            },
            Self::Time(value) => append(6, &value.timestamp_micros().to_be_bytes()),
            Self::Date(value) => append(7, value.to_string().as_bytes()),
            Self::Bytes(value) => append(8, value),
        }
    }

    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        const FIXED: usize = 16;
        FIXED
            + match self {
                Self::Text(text) | Self::Json(text) => text.len(),
                Self::Bytes(bytes) => bytes.len(),
                _ => 0,
            }
    }

    /// Appends it in the text format of COPY.
    pub(super) fn append_copy_text(&self, text: &mut Vec<u8>) {
        match self {
            Self::Null => text.extend_from_slice(b"\\N"),
            Self::Bool(value) => text.push(if *value { b't' } else { b'f' }),
            Self::Integer(value) => text.extend_from_slice(value.to_string().as_bytes()),
            // The shortest digits that mean this number.
            Self::Real(value) => text.extend_from_slice(value.to_string().as_bytes()),
            Self::Text(value) | Self::Json(value) => append_escaped(value, text),
            Self::Time(value) => {
                let value = value.format("%Y-%m-%d %H:%M:%S%.6f+00").to_string();
                text.extend_from_slice(value.as_bytes());
            }
            Self::Date(value) => text.extend_from_slice(value.to_string().as_bytes()),
            Self::Bytes(value) => {
                text.extend_from_slice(b"\\\\x");
                text.extend_from_slice(hex::encode(value).as_bytes());
            }
        }
    }
}

fn append_escaped(value: &str, text: &mut Vec<u8>) {
    for byte in value.bytes() {
        match byte {
            b'\\' => text.extend_from_slice(b"\\\\"),
            b'\n' => text.extend_from_slice(b"\\n"),
            b'\r' => text.extend_from_slice(b"\\r"),
            b'\t' => text.extend_from_slice(b"\\t"),
            _ => text.push(byte),
        }
    }
}

/// JSON without the white space between its tokens. Numbers keep their digits.
pub(super) fn compact(json: &str) -> String {
    let (mut text, mut in_string, mut escaped) = (String::with_capacity(json.len()), false, false);
    for character in json.chars() {
        if !in_string && character.is_ascii_whitespace() {
            continue;
        }
        if character == '"' && !escaped {
            in_string = !in_string;
        }
        escaped = in_string && character == '\\' && !escaped;
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(row: &[Datum]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for datum in row {
            datum.append_canonical(&mut bytes);
        }
        bytes
    }

    #[test]
    fn the_canonical_form_tells_rows_apart_and_not_the_forms_of_one_value() {
        let text = |text: &str| Datum::Text(text.to_owned());
        let json = |text: &str| Datum::Json(text.to_owned());
        for (one, two, is_same) in [
            (
                vec![text("a"), text("b")],
                vec![text("ab"), text("")],
                false,
            ),
            (vec![Datum::Null], vec![text("")], false),
            (vec![Datum::Integer(1)], vec![Datum::Bool(true)], false),
            (vec![Datum::Integer(1)], vec![Datum::Integer(256)], false),
            (vec![Datum::Real(0.0)], vec![Datum::Real(-0.0)], true),
            (vec![json("[\"a\", 1]")], vec![json("[\"a\",1]")], true),
            (
                vec![json("{\"a\":1,\"b\":2}")],
                vec![json("{\"b\": 2, \"a\": 1}")],
                true,
            ),
            (vec![json("[1,2]")], vec![json("[2,1]")], false),
            (vec![text("[1, 2]")], vec![text("[1,2]")], false),
        ] {
            assert_eq!(
                canonical(&one) == canonical(&two),
                is_same,
                "{one:?} {two:?}"
            );
        }
    }

    #[test]
    fn json_becomes_compact_and_keeps_its_strings_and_digits() {
        for (json, expected) in [
            (
                r#"{"a b": [1, 2.50],  "c": "d \" , e\\"}"#,
                r#"{"a b":[1,2.50],"c":"d \" , e\\"}"#,
            ),
            ("[]", "[]"),
            ("[ ]", "[]"),
            ("[\"\\\\\", \"x y\"]", "[\"\\\\\",\"x y\"]"),
        ] {
            assert_eq!(compact(json), expected);
        }
    }

    #[test]
    fn what_copy_would_take_for_its_own_is_escaped() {
        let mut text = Vec::new();
        for datum in [
            Datum::Text("\\N\ta\r\nb\\.".to_owned()),
            Datum::Null,
            Datum::Bytes(vec![0, 255]),
        ] {
            datum.append_copy_text(&mut text);
            text.push(b'|');
        }
        let expected = r"\\N\ta\r\nb\\.|\N|\\x00ff|";
        assert_eq!(String::from_utf8(text).expect("text"), expected);
    }
}
