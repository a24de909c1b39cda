//! Rows as JSON, field by field, from the driver's own bytes.

use std::io::Write;

use chrono::{DateTime, Datelike, Timelike, Utc};
use entity::price::Price;
use json_escape_simd::escape_into;
use sea_orm::{
    DbErr, EntityTrait, QueryResult, QuerySelect, Select,
    sea_query::Expr,
    sqlx::{ColumnIndex, ValueRef},
};
use serde::{Serialize, Serializer, ser::Error};
use serde_json::value::RawValue;

use super::source::{Source, Value, undecoded};

/// A field of an answer and the column it is written from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) column: &'static str,
    kind: Kind,
}

/// How a column is written.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Integer,
    Number,
    Flag,
    Text,
    Moment,
    Date,
    Price,
    Json,
}

macro_rules! fields {
    ($($kind:ident: $variant:ident),*) => {$(
        pub(crate) const fn $kind(name: &'static str, column: &'static str) -> Field {
            Field { name, column, kind: Kind::$variant }
        }
    )*};
}

fields!(
    integer: Integer, number: Number, flag: Flag, text: Text, moment: Moment, date: Date,
    price: Price, json: Json
);

impl Field {
    /// The columns that these fields are written from, in their order.
    pub(crate) fn columns(fields: &[Self]) -> Vec<&'static str> {
        fields.iter().map(|field| field.column).collect()
    }

    /// A query for these fields and nothing else.
    pub(crate) fn select<E: EntityTrait>(query: Select<E>, fields: &[Self]) -> Select<E> {
        let columns = fields.iter().map(|field| Expr::cust(field.column));
        query.select_only().exprs(columns)
    }

    /// Where the field of this name is among these.
    pub(crate) fn position(fields: &[Self], name: &str) -> Result<usize, DbErr> {
        let mut names = fields.iter().map(|field| field.name);
        names
            .position(|field| field == name)
            .ok_or_else(|| DbErr::Type(format!("no field is named {name}")))
    }
}

/// A JSON text in the making.
#[derive(Debug)]
pub(crate) struct JsonText(Vec<u8>);

impl JsonText {
    /// For about so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// What is JSON as it stands.
    pub(crate) fn push(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn value(&mut self, value: &impl Serialize) -> Result<(), DbErr> {
        serde_json::to_writer(&mut self.0, value).map_err(|error| DbErr::Json(error.to_string()))
    }

    /// The fields of an object, without its braces, from a row's columns from `first` on.
    pub(crate) fn fields(
        &mut self,
        row: &QueryResult,
        first: usize,
        fields: &[Field],
    ) -> Result<(), DbErr> {
        if let Some(row) = row.try_as_pg_row() {
            self.fields_of(row, first, fields)
        } else if let Some(row) = row.try_as_sqlite_row() {
            self.fields_of(row, first, fields)
        } else {
            Err(DbErr::Type("a row of an unknown database".to_owned()))
        }
    }

    /// An object of these fields.
    pub(crate) fn object(
        &mut self,
        row: &QueryResult,
        first: usize,
        fields: &[Field],
    ) -> Result<(), DbErr> {
        self.push("{");
        self.fields(row, first, fields)?;
        self.push("}");
        Ok(())
    }

    /// A list with an element for each of these things.
    pub(crate) fn list<T>(
        &mut self,
        things: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T) -> Result<(), DbErr>,
    ) -> Result<(), DbErr> {
        self.push("[");
        for (index, thing) in things.into_iter().enumerate() {
            if index > 0 {
                self.push(",");
            }
            write(self, thing)?;
        }
        self.push("]");
        Ok(())
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn fields_of<R: Source>(&mut self, row: &R, first: usize, fields: &[Field]) -> Result<(), DbErr>
    where
        usize: ColumnIndex<R>,
    {
        for (index, field) in fields.iter().enumerate() {
            self.push(if index > 0 { ",\"" } else { "\"" });
            self.push(field.name);
            self.push("\":");
            let value = row.try_get_raw(first + index).map_err(undecoded)?;
            if value.is_null() {
                self.push("null");
            } else {
                self.cell::<R>(value, field.kind)?;
            }
        }
        Ok(())
    }

    fn cell<'r, R: Source>(&mut self, value: Value<'r, R>, kind: Kind) -> Result<(), DbErr> {
        match kind {
            Kind::Integer => self.value(&R::integer(value)?),
            Kind::Number => self.value(&R::number(value)?),
            Kind::Flag => {
                self.push(if R::flag(value)? { "true" } else { "false" });
                Ok(())
            }
            Kind::Text => {
                escape_into(R::text(value)?, &mut self.0);
                Ok(())
            }
            Kind::Moment => R::write_moment(value, self),
            Kind::Date => self.quoted(&R::date(value)?),
            Kind::Price => self.quoted(&Price::from_stored(R::integer(value)?)),
            Kind::Json => {
                self.push(R::json(value)?);
                Ok(())
            }
        }
    }

    /// A text that needs no escapes.
    fn quoted(&mut self, text: &impl std::fmt::Display) -> Result<(), DbErr> {
        write!(self.0, "\"{text}\"").map_err(|error| DbErr::Type(error.to_string()))
    }

    /// As chrono writes moments by serde, which takes ten times as long for it.
    pub(super) fn moment(&mut self, moment: DateTime<Utc>) -> Result<(), DbErr> {
        let (Ok(year @ 0..=9999), 0) = (u32::try_from(moment.year()), moment.nanosecond() % 1_000)
        else {
            return self.value(&moment);
        };
        self.push("\"");
        self.two_digits(year / 100);
        self.two_digits(year % 100);
        for (before, number) in [
            ("-", moment.month()),
            ("-", moment.day()),
            ("T", moment.hour()),
            (":", moment.minute()),
            (":", moment.second()),
        ] {
            self.push(before);
            self.two_digits(number);
        }
        let micros = moment.nanosecond() / 1_000;
        if micros > 0 {
            let fraction = format!(".{micros:06}");
            let shown = if micros % 1_000 == 0 { 4 } else { 7 };
            self.push(&fraction[..shown]);
        }
        self.push("Z\"");
        Ok(())
    }

    fn two_digits(&mut self, number: u32) {
        for digit in [number / 10, number % 10] {
            self.0.push(b'0' + u8::try_from(digit).unwrap_or_default());
        }
    }
}

/// Serialises a long text, escaped faster than serde_json does it by itself.
pub(crate) fn long_text<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let mut json = Vec::with_capacity(text.len() + text.len() / 8 + 2);
    escape_into(text, &mut json);
    let json: &RawValue = serde_json::from_slice(&json).map_err(S::Error::custom)?;
    json.serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut JsonText) -> Result<(), DbErr>) -> String {
        let mut json = JsonText::with_capacity(0);
        write(&mut json).expect("written");
        String::from_utf8(json.into_bytes()).expect("UTF-8")
    }

    #[test]
    fn a_moment_is_written_as_serde_writes_it() {
        for text in [
            "0000-01-01T00:00:00Z",
            "2026-11-24T09:05:07Z",
            "2026-11-24T09:05:07.5Z",
            "2026-11-24T09:05:07.000001Z",
            "2026-11-24T09:05:07.123456Z",
            "2026-11-24T09:05:07.123456789Z",
            "9999-12-31T23:59:59.999999Z",
        ] {
            let moment: DateTime<Utc> = text.parse().expect(text);
            let expected = serde_json::to_string(&moment).expect("JSON");
            assert_eq!(written(|json| json.moment(moment)), expected, "{text}");
        }
        for moment in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            let expected = serde_json::to_string(&moment).expect("JSON");
            assert_eq!(written(|json| json.moment(moment)), expected);
        }
    }

    #[test]
    fn a_text_is_escaped_as_serde_escapes_it() {
        let every_ascii: String = (0..=127_u8).map(char::from).collect();
        for text in [
            String::new(),
            every_ascii.clone(),
            format!("{}{every_ascii}", "é漢\u{1f980}\u{2028}".repeat(20)),
            "plain ".repeat(1_000),
            "\"\\".repeat(500),
        ] {
            let mut escaped = Vec::new();
            escape_into(&text, &mut escaped);
            let expected = serde_json::to_vec(&text).expect("JSON");
            assert_eq!(escaped, expected, "{text:?}");
        }
    }
}
