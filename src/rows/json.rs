//! Rows as JSON, field by field, from the driver's own bytes.

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use entity::price::Price;
use sea_orm::{
    DbErr, EntityTrait, QueryResult, QuerySelect, Select,
    sea_query::Expr,
    sqlx::{ColumnIndex, ValueRef},
};
use serde::{Deserialize, Serialize};

use super::source::{Source, Value, undecoded};

/// A field of an answer and the column it is written from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) column: &'static str,
    key: Key,
    kind: Kind,
}

/// What goes before the value of a field: a comma, the name in quotes, a colon.
#[derive(Clone, Copy, Debug)]
struct Key {
    text: [u8; Self::CAPACITY],
    length: usize,
}

impl Key {
    const CAPACITY: usize = 32;

    const fn of(name: &str) -> Self {
        let name = name.as_bytes();
        let mut text = [0; Self::CAPACITY];
        let length = name.len() + 4;
        text[0] = b',';
        text[1] = b'"';
        let mut index = 0;
        while index < name.len() {
            text[2 + index] = name[index];
            index += 1;
        }
        text[length - 2] = b'"';
        text[length - 1] = b':';
        Self { text, length }
    }

    fn bytes(&self, is_first: bool) -> &[u8] {
        &self.text[usize::from(is_first)..self.length]
    }
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
            Field { name, column, key: Key::of(name), kind: Kind::$variant }
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
        sonic_rs::to_writer(&mut self.0, value).map_err(|error| DbErr::Json(error.to_string()))
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
            self.0.extend_from_slice(field.key.bytes(index == 0));
            let value = row.try_get_raw(first + index).map_err(undecoded)?;
            if value.is_null() {
                self.push("null");
            } else {
                self.cell::<R>(value, field.kind)?;
            }
        }
        Ok(())
    }

    fn cell<R: Source>(&mut self, value: Value<'_, R>, kind: Kind) -> Result<(), DbErr> {
        match kind {
            Kind::Integer => {
                self.integer(R::integer(value)?);
                Ok(())
            }
            Kind::Number => self.value(&R::number(value)?),
            Kind::Flag => {
                self.push(if R::flag(value)? { "true" } else { "false" });
                Ok(())
            }
            Kind::Text => self.value(&R::text(value)?),
            Kind::Moment => R::write_moment(value, self),
            Kind::Date => self.date(R::date(value)?),
            Kind::Price => {
                self.price(Price::from_stored(R::integer(value)?));
                Ok(())
            }
            Kind::Json => {
                self.push(R::json(value)?);
                Ok(())
            }
        }
    }

    pub(super) fn integer(&mut self, number: i64) {
        self.push(itoa::Buffer::new().format(number));
    }

    fn price(&mut self, price: Price) {
        let (dollars, rest) = price.parts();
        let mut buffer = itoa::Buffer::new();
        let rest = buffer.format(rest);
        self.push("\"");
        self.integer(dollars);
        self.push(".");
        self.push(&"0000000000"[rest.len()..]);
        self.push(rest);
        self.push("\"");
    }

    fn date(&mut self, date: NaiveDate) -> Result<(), DbErr> {
        if !(0..=9999).contains(&date.year()) {
            return self.value(&date);
        }
        let mut text = *b"\"0000-00-00\"";
        put_day(&mut text, date);
        self.0.extend_from_slice(&text);
        Ok(())
    }

    /// As chrono writes moments by serde, which takes ten times as long for it.
    pub(super) fn moment(&mut self, moment: DateTime<Utc>) -> Result<(), DbErr> {
        let here = moment.naive_utc();
        let (nanos, seconds) = (here.nanosecond(), here.num_seconds_from_midnight());
        if !(0..=9999).contains(&here.year()) || !nanos.is_multiple_of(1_000) {
            return self.value(&moment);
        }
        let mut text = *b"\"0000-00-00T00:00:00.000000";
        put_day(&mut text, here.date());
        put(&mut text, 12, seconds / 3600);
        put(&mut text, 15, seconds / 60 % 60);
        put(&mut text, 18, seconds % 60);
        let micros = nanos / 1_000;
        put(&mut text, 21, micros / 10_000);
        put(&mut text, 23, micros / 100 % 100);
        put(&mut text, 25, micros % 100);
        let shown = match micros {
            0 => 20,
            _ if micros.is_multiple_of(1_000) => 24,
            _ => 27,
        };
        self.0.extend_from_slice(&text[..shown]);
        self.push("Z\"");
        Ok(())
    }
}

/// A day of the years 0 to 9999, behind a quote.
fn put_day(text: &mut [u8], date: NaiveDate) {
    let year = date.year().unsigned_abs();
    put(text, 1, year / 100);
    put(text, 3, year % 100);
    put(text, 6, date.month());
    put(text, 9, date.day());
}

/// A number below 100, in two digits.
fn put(text: &mut [u8], at: usize, number: u32) {
    for (at, digit) in [(at, number / 10), (at + 1, number % 10)] {
        text[at] = b'0' + u8::try_from(digit).unwrap_or_default();
    }
}

/// A JSON text that goes from the database into an answer as it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored<'r>(pub(super) &'r str);

impl<'r> Stored<'r> {
    pub(crate) const EMPTY_LIST: Stored<'static> = Stored("[]");
    pub(crate) const EMPTY_OBJECT: Stored<'static> = Stored("{}");

    /// Whether it is a list of nothing.
    pub(crate) fn is_empty(self) -> bool {
        let is_filling = |byte: u8| !b"[] \t\r\n".contains(&byte);
        !self.0.bytes().any(is_filling)
    }

    pub(crate) fn read<T: Deserialize<'r>>(self) -> Result<T, DbErr> {
        sonic_rs::from_str(self.0).map_err(|error| DbErr::Json(error.to_string()))
    }
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
    fn a_stored_text_is_read_where_it_is_asked_for() {
        for (text, is_empty) in [
            ("[]", true),
            (" [ ]\n", true),
            ("[\"\"]", false),
            ("[1]", false),
        ] {
            assert_eq!(Stored(text).is_empty(), is_empty, "{text}");
        }
        let items: Vec<String> = Stored(r#"["a\n", "\u00e9"]"#).read().expect("a list");
        assert_eq!(items, ["a\n", "é"]);
    }

    #[test]
    fn a_date_and_a_price_are_written_as_serde_writes_them() {
        for text in ["0000-01-01", "2026-02-03", "9999-12-31"] {
            let date: NaiveDate = text.parse().expect(text);
            assert_eq!(written(|json| json.date(date)), format!("\"{text}\""));
        }
        for count in [
            0,
            1,
            25_000_000_000,
            12_345_678_901,
            999_999_999_999_999_999,
        ] {
            let price = Price::from_stored(count);
            let written = written(|json| {
                json.price(price);
                Ok(())
            });
            assert_eq!(written, serde_json::to_string(&price).expect("JSON"));
        }
    }

    #[test]
    fn a_number_is_written_as_serde_json_writes_it() {
        for number in [
            0.0,
            -0.0,
            0.1,
            0.3,
            0.1 + 0.2,
            1.0,
            2.0,
            1e15,
            1e16,
            1e17,
            1.5e300,
            5e-324,
            1e-5,
            1e-7,
            123_456_789.123_456_79,
            f64::MAX,
            f64::MIN_POSITIVE,
            f64::NAN,
            f64::INFINITY,
        ] {
            let expected = serde_json::to_string(&number).expect("JSON");
            assert_eq!(written(|json| json.value(&number)), expected);
        }
        for number in [0, -1, 7, i64::MIN, i64::MAX] {
            assert_eq!(written(|json| json.value(&number)), number.to_string());
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
            let expected = serde_json::to_string(&text).expect("JSON");
            assert_eq!(written(|json| json.value(&text)), expected, "{text:?}");
        }
    }
}
