//! Rows of the statements written by hand, taken by position: the fastest way, and for a wide row of
//! several tables also the plainest.
//!
//! [`Columns`] decodes a row for a program that looks at it. [`Rows`] are not looked at: they are
//! written as JSON straight from what the driver received, without a value of their own in between.

use std::{borrow::Cow, marker::PhantomData};

use chrono::{DateTime, Utc};
use poem_openapi::{
    registry::{MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use sea_orm::{
    DbErr, QueryResult, TryGetable,
    sqlx::{ColumnIndex, Database, Decode, Row, ValueRef},
};
use serde::{Serialize, Serializer, ser::Error};
use serde_json::{Value, value::RawValue};

use crate::http::RawJson;

/// The columns of a row, one after the other.
pub(crate) struct Columns<'r> {
    row: &'r QueryResult,
    index: usize,
}

impl<'r> Columns<'r> {
    pub(crate) fn of(row: &'r QueryResult) -> Self {
        Self::from(row, 0)
    }

    /// The columns from this one on.
    pub(crate) fn from(row: &'r QueryResult, index: usize) -> Self {
        Self { row, index }
    }

    /// The index of the next column.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn next<T: TryGetable>(&mut self) -> Result<T, DbErr> {
        let index = self.index;
        self.index += 1;
        self.row.try_get_by_index(index)
    }

    /// A column that may be null. (SeaORM's own way makes an error of a null first, with a text.)
    pub(crate) fn maybe<T: TryGetable>(&mut self) -> Result<Option<T>, DbErr> {
        if is_null(self.row, self.index)? {
            self.index += 1;
            return Ok(None);
        }
        self.next().map(Some)
    }

    /// A JSON column that was selected as text.
    pub(crate) fn next_json<T>(&mut self) -> Result<RawJson<T>, DbErr> {
        let text: String = self.next()?;
        RawJson::try_from(text).map_err(|error| DbErr::Json(error.to_string()))
    }
}

fn is_null(row: &QueryResult, index: usize) -> Result<bool, DbErr> {
    let null = if let Some(row) = row.try_as_pg_row() {
        row.try_get_raw(index).map(|value| value.is_null())
    } else if let Some(row) = row.try_as_sqlite_row() {
        row.try_get_raw(index).map(|value| value.is_null())
    } else {
        Ok(false)
    };
    null.map_err(|error| DbErr::Type(error.to_string()))
}

/// A field of an answer and the column it is written from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    column: &'static str,
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
    Json,
}

macro_rules! fields {
    ($($kind:ident: $variant:ident),*) => {$(
        pub(crate) const fn $kind(name: &'static str, column: &'static str) -> Field {
            Field { name, column, kind: Kind::$variant }
        }
    )*};
}

fields!(integer: Integer, number: Number, flag: Flag, text: Text, moment: Moment, json: Json);

/// What is answered from rows as they are.
pub(crate) trait FromRow {
    /// Its fields, in the order in which they are selected and written.
    const FIELDS: &'static [Field];

    /// What a statement selects for it.
    fn columns() -> String {
        let columns = Self::FIELDS.iter().map(|field| match field.kind {
            Kind::Json => format!("CAST({} AS text)", field.column),
            _ => field.column.to_owned(),
        });
        columns.collect::<Vec<_>>().join(", ")
    }
}

/// Rows on their way from the database to the client, declared as a list of `T`.
#[derive(Debug)]
pub(crate) struct Rows<T> {
    rows: Vec<QueryResult>,
    /// Where the columns of `T` begin.
    first: usize,
    declared: PhantomData<fn() -> T>,
}

impl<T> Rows<T> {
    pub(crate) fn new(rows: Vec<QueryResult>, first: usize) -> Self {
        Self {
            rows,
            first,
            declared: PhantomData,
        }
    }
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self::new(Vec::new(), 0)
    }
}

impl<T: FromRow> Serialize for Rows<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.rows.iter().map(|row| Written {
            row,
            first: self.first,
            fields: T::FIELDS,
        }))
    }
}

/// A row as a JSON object.
struct Written<'r> {
    row: &'r QueryResult,
    first: usize,
    fields: &'static [Field],
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.fields.iter().zip(self.first..).map(|(field, index)| {
            let cell = Cell {
                row: self.row,
                index,
                kind: field.kind,
            };
            (field.name, cell)
        }))
    }
}

struct Cell<'r> {
    row: &'r QueryResult,
    index: usize,
    kind: Kind,
}

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(row) = self.row.try_as_pg_row() {
            write(row, self.index, self.kind, serializer)
        } else if let Some(row) = self.row.try_as_sqlite_row() {
            write(row, self.index, self.kind, serializer)
        } else {
            Err(S::Error::custom("a row of an unknown database"))
        }
    }
}

fn write<'r, R, S>(row: &'r R, index: usize, kind: Kind, to: S) -> Result<S::Ok, S::Error>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database>,
    f64: Decode<'r, R::Database>,
    bool: Decode<'r, R::Database>,
    &'r str: Decode<'r, R::Database>,
    DateTime<Utc>: Decode<'r, R::Database>,
    S: Serializer,
{
    fn decode<'r, D: Database, T: Decode<'r, D>, E: Error>(value: D::ValueRef<'r>) -> Result<T, E> {
        T::decode(value).map_err(E::custom)
    }
    let value = row.try_get_raw(index).map_err(S::Error::custom)?;
    if value.is_null() {
        return to.serialize_none();
    }
    match kind {
        Kind::Integer => to.serialize_i64(decode::<R::Database, _, _>(value)?),
        Kind::Number => to.serialize_f64(decode::<R::Database, _, _>(value)?),
        Kind::Flag => to.serialize_bool(decode::<R::Database, _, _>(value)?),
        Kind::Text => to.serialize_str(decode::<R::Database, _, _>(value)?),
        Kind::Moment => decode::<R::Database, DateTime<Utc>, _>(value)?.serialize(to),
        Kind::Json => {
            let text = decode::<R::Database, _, _>(value)?;
            let json: &RawValue = serde_json::from_str(text).map_err(S::Error::custom)?;
            json.serialize(to)
        }
    }
}

impl<T: Type> Type for Rows<T> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        Vec::<T>::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        Vec::<T>::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::empty())
    }
}

/// They are only ever sent.
impl<T: Type> ParseFromJSON for Rows<T> {
    fn parse_from_json(_: Option<Value>) -> ParseResult<Self> {
        Err(ParseError::custom("rows come from a database"))
    }
}

impl<T: Type + FromRow> ToJSON for Rows<T> {
    fn to_json(&self) -> Option<Value> {
        serde_json::to_value(self).ok()
    }
}
