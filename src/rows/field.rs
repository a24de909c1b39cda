//! Answers written from rows, field by field, from the driver's own bytes.

use entity::price::Price;
use sea_orm::{
    DbErr, EntityTrait, QueryResult, QuerySelect, Select,
    sea_query::Expr,
    sqlx::{ColumnIndex, ValueRef},
};

use super::{
    json::{JsonText, Key},
    source::{Source, Value, missing},
};

/// A field of an answer and the column it is written from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) column: &'static str,
    key: Key,
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

    /// A query for these fields and nothing else, which are one text in it: it is soon copied.
    pub(crate) fn select<E: EntityTrait>(query: Select<E>, fields: &[Self]) -> Select<E> {
        let columns = Expr::cust(Self::columns(fields).join(", "));
        query.select_only().expr(columns)
    }

    /// Where the field of this name is among these.
    pub(crate) fn position(fields: &[Self], name: &str) -> Result<usize, DbErr> {
        let mut names = fields.iter().map(|field| field.name);
        names
            .position(|field| field == name)
            .ok_or_else(|| DbErr::Type(format!("no field is named {name}")))
    }
}

impl JsonText {
    /// An object of these fields from a row's columns from `first` on, but for its closing brace, so
    /// that others can follow.
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
        self.fields(row, first, fields)?;
        self.push("}");
        Ok(())
    }

    fn fields_of<R: Source>(&mut self, row: &R, first: usize, fields: &[Field]) -> Result<(), DbErr>
    where
        usize: ColumnIndex<R>,
    {
        let start = self.len();
        for (index, field) in fields.iter().enumerate() {
            self.key(&field.key);
            let Ok(value) = row.try_get_raw(first + index) else {
                return Err(missing(first + index));
            };
            if value.is_null() {
                self.push("null");
            } else {
                self.cell::<R>(value, field.kind)?;
            }
        }
        self.open(start);
        Ok(())
    }

    fn cell<R: Source>(&mut self, value: Value<'_, R>, kind: Kind) -> Result<(), DbErr> {
        match kind {
            Kind::Integer => self.integer(R::integer(value)?),
            Kind::Number => self.value(&R::number(value)?)?,
            Kind::Flag => self.flag(R::flag(value)?),
            Kind::Text => self.text_bytes(R::text_bytes(value)?)?,
            Kind::Moment => R::write_moment(value, self)?,
            Kind::Date => self.date(R::date(value)?)?,
            Kind::Price => self.price(Price::from_stored(R::integer(value)?)),
            Kind::Json => self.push_bytes(R::json(value)?),
        }
        Ok(())
    }
}
