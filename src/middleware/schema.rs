//! The bounds that `openapi.json` publishes, as a check that finds everything wrong at once.
//!
//! It knows the part of JSON Schema that poem-openapi writes for requests and no more; a keyword
//! it does not know is a programming error, found when the service starts.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveDate};
use regex::Regex;
use serde_json::Value;

use crate::error::{FieldError, pointer_to};

/// A compiled schema.
#[derive(Debug)]
pub(crate) struct Schema {
    nullable: bool,
    choices: Vec<Value>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Any,
    Boolean,
    Integer(Range<i64>),
    Number(Range<f64>),
    Text(Text),
    List {
        item: Box<Schema>,
        min_items: usize,
        max_items: usize,
    },
    Object {
        properties: BTreeMap<String, Schema>,
        required: Vec<String>,
        open: bool,
    },
}

#[derive(Debug)]
struct Range<T> {
    min: T,
    max: T,
}

/// What a text has to be.
#[derive(Clone, Copy, Debug)]
enum Format {
    Date,
    DateTime,
}

#[derive(Debug)]
struct Text {
    min_length: usize,
    max_length: usize,
    pattern: Option<Regex>,
    format: Option<Format>,
}

impl Schema {
    /// Compiles a schema of the description.
    ///
    /// # Panics
    /// A reference that leads nowhere, a pattern that is no regular expression, or a type that
    /// this check does not know: the description is the program's own.
    pub(crate) fn compile(schema: &Value, description: &Value) -> Self {
        if let Some(reference) = reference(schema) {
            let path = reference.trim_start_matches('#');
            let target = description
                .pointer(path)
                .expect("a reference that leads somewhere");
            let mut compiled = Self::compile(target, description);
            compiled.nullable |= schema["nullable"] == true;
            return compiled;
        }
        Self {
            nullable: schema["nullable"] == true,
            choices: schema["enum"].as_array().cloned().unwrap_or_default(),
            kind: Kind::compile(schema, description),
        }
    }

    /// Collects what is wrong with `value`, which stands at `pointer`.
    pub(crate) fn check(&self, value: &Value, pointer: &str, errors: &mut Vec<FieldError>) {
        if self.nullable && value.is_null() {
            return;
        }
        let mut wrong = |detail: String| {
            errors.push(FieldError {
                pointer: pointer.to_owned(),
                detail,
            });
        };
        match (&self.kind, value) {
            (Kind::Any, _) | (Kind::Boolean, Value::Bool(_)) => {}
            (Kind::Integer(range), Value::Number(number)) => match number.as_i64() {
                Some(number) => range.check(number, wrong),
                None => wrong("must be a 64-bit integer".to_owned()),
            },
            (Kind::Number(range), Value::Number(number)) => {
                range.check(number.as_f64().unwrap_or(f64::NAN), wrong);
            }
            (Kind::Text(_), Value::String(_)) if !self.choices.is_empty() => {
                if !self.choices.contains(value) {
                    let choices: Vec<String> = self.choices.iter().map(Value::to_string).collect();
                    wrong(format!("must be one of {}", choices.join(", ")));
                }
            }
            (Kind::Text(bounds), Value::String(text)) => bounds.check(text, wrong),
            (
                Kind::List {
                    item,
                    min_items,
                    max_items,
                },
                Value::Array(items),
            ) => {
                if items.len() < *min_items {
                    wrong(format!("must have at least {min_items} items"));
                } else if items.len() > *max_items {
                    wrong(format!("must have at most {max_items} items"));
                }
                for (index, value) in items.iter().enumerate() {
                    item.check(value, &format!("{pointer}/{index}"), errors);
                }
            }
            (
                Kind::Object {
                    properties,
                    required,
                    open,
                },
                Value::Object(members),
            ) => {
                for name in required.iter().filter(|name| !members.contains_key(*name)) {
                    errors.push(FieldError {
                        pointer: pointer_to(pointer, name),
                        detail: "is required".to_owned(),
                    });
                }
                for (name, value) in members {
                    let pointer = pointer_to(pointer, name);
                    match properties.get(name) {
                        Some(property) => property.check(value, &pointer, errors),
                        None if *open => {}
                        None => errors.push(FieldError {
                            pointer,
                            detail: "is not a known field".to_owned(),
                        }),
                    }
                }
            }
            (_, Value::Null) => wrong("must not be null".to_owned()),
            (kind, _) => wrong(format!("must be {}", kind.name())),
        }
    }

    /// Collects what is wrong with a parameter, which arrives as text.
    pub(crate) fn check_parameter(&self, text: &str, place: &str, errors: &mut Vec<FieldError>) {
        let value = match self.kind {
            Kind::Boolean => text.parse::<bool>().map(Value::from).ok(),
            Kind::Integer(_) => text.parse::<i64>().map(Value::from).ok(),
            Kind::Number(_) => text.parse::<f64>().map(Value::from).ok(),
            _ => None,
        };
        self.check(&value.unwrap_or_else(|| text.into()), place, errors);
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"]
        .as_str()
        .or_else(|| schema["allOf"][0]["$ref"].as_str())
}

impl Kind {
    fn compile(schema: &Value, description: &Value) -> Self {
        let count = |key: &str| {
            schema[key]
                .as_u64()
                .and_then(|count| usize::try_from(count).ok())
        };
        match schema["type"].as_str() {
            None => Self::Any,
            Some("boolean") => Self::Boolean,
            Some("integer") => Self::Integer(Range {
                min: schema["minimum"].as_i64().unwrap_or(i64::MIN),
                max: schema["maximum"].as_i64().unwrap_or(i64::MAX),
            }),
            Some("number") => Self::Number(Range {
                min: schema["minimum"].as_f64().unwrap_or(f64::MIN),
                max: schema["maximum"].as_f64().unwrap_or(f64::MAX),
            }),
            Some("string") => Self::Text(Text {
                min_length: count("minLength").unwrap_or(0),
                max_length: count("maxLength").unwrap_or(usize::MAX),
                pattern: schema["pattern"]
                    .as_str()
                    .map(|pattern| Regex::new(pattern).expect("a regular expression")),
                format: Format::compile(&schema["format"]),
            }),
            Some("array") => Self::List {
                item: Box::new(Schema::compile(&schema["items"], description)),
                min_items: count("minItems").unwrap_or(0),
                max_items: count("maxItems").unwrap_or(usize::MAX),
            },
            Some("object") => Self::Object {
                properties: schema["properties"]
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, schema)| (name.clone(), Schema::compile(schema, description)))
                    .collect(),
                required: schema["required"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|name| name.as_str().map(ToOwned::to_owned))
                    .collect(),
                open: schema["additionalProperties"].is_object(),
            },
            Some(other) => panic!("a schema of type {other} can't be checked"),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Any => "a value",
            Self::Boolean => "true or false",
            Self::Integer(_) => "an integer",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List { .. } => "a list",
            Self::Object { .. } => "an object",
        }
    }
}

impl<T: Copy + PartialOrd + std::fmt::Display> Range<T> {
    fn check(&self, value: T, wrong: impl FnOnce(String)) {
        if !(self.min..=self.max).contains(&value) {
            wrong(format!("must be from {} to {}", self.min, self.max));
        }
    }
}

impl Text {
    fn check(&self, text: &str, mut wrong: impl FnMut(String)) {
        let length = text.chars().count();
        if length < self.min_length {
            wrong(format!("must have at least {} characters", self.min_length));
        } else if length > self.max_length {
            wrong(format!("must have at most {} characters", self.max_length));
        } else if let Some(pattern) = &self.pattern
            && !pattern.is_match(text)
        {
            wrong(format!("must match {pattern}"));
        } else if let Some(format) = self.format
            && !format.is_met_by(text)
        {
            wrong(format!("must be {}", format.name()));
        }
    }
}

impl Format {
    fn compile(format: &Value) -> Option<Self> {
        match format.as_str() {
            Some("date") => Some(Self::Date),
            Some("date-time") => Some(Self::DateTime),
            _ => None,
        }
    }

    fn is_met_by(self, text: &str) -> bool {
        match self {
            Self::Date => is_full_date(text),
            Self::DateTime => is_date_time(text),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Date => "a date, as 2026-01-31",
            Self::DateTime => {
                "a date and time with its offset, as 2026-01-31T12:00:00Z \
                 (in a query, + is written %2B)"
            }
        }
    }
}

/// RFC 3339's full-date; chrono alone reads blanks, short months and years beyond 9999 as well.
fn is_full_date(text: &str) -> bool {
    text.len() == 10
        && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok_and(|date| date.to_string() == text)
}

/// RFC 3339's date-time, of which chrono alone takes the letters in either case and a blank for the
/// T. In UTC too its year has four digits: SQLite compares moments as texts.
fn is_date_time(text: &str) -> bool {
    text.as_bytes().get(10) == Some(&b'T')
        && DateTime::parse_from_rfc3339(text)
            .is_ok_and(|moment| (0..=9999).contains(&moment.to_utc().year()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn faults(schema: &Value, value: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        Schema::compile(schema, &Value::Null).check(value, "#", &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn everything_wrong_is_found_at_once() {
        let schema = json!({
            "type": "object",
            "required": ["name", "size"],
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 3, "pattern": "^[a-z]+$"},
                "size": {"type": "integer", "minimum": 1, "maximum": 9},
                "tags": {"type": "array", "maxItems": 1, "items": {"type": "string"}},
                "parts": {"type": "array", "minItems": 1, "items": {"type": "string"}},
                "day": {"type": "string", "format": "date"},
                "role": {"type": "string", "enum": ["a", "b"]},
                "note": {"type": "string", "nullable": true},
                "free": {"type": "object", "additionalProperties": {}}
            }
        });
        assert_eq!(
            faults(
                &schema,
                &json!({"name": "ab", "size": 9, "note": null, "free": {"x": [1]}})
            ),
            [""; 0]
        );
        assert_eq!(
            faults(
                &schema,
                &json!({
                    "name": "AB", "tags": ["x", 2], "parts": [], "day": "2026-02-30", "role": "c",
                    "free": [], "extra": 1
                })
            ),
            [
                "#/size: is required",
                "#/name: must match ^[a-z]+$",
                "#/tags: must have at most 1 items",
                "#/tags/1: must be a string",
                "#/parts: must have at least 1 items",
                "#/day: must be a date, as 2026-01-31",
                "#/role: must be one of \"a\", \"b\"",
                "#/free: must be an object",
                "#/extra: is not a known field",
            ]
        );
        assert_eq!(
            faults(&schema, &json!({"name": null, "size": 10})),
            ["#/name: must not be null", "#/size: must be from 1 to 9"]
        );
        assert_eq!(
            faults(&schema, &json!({"name": "", "size": 1.5})),
            [
                "#/name: must have at least 1 characters",
                "#/size: must be a 64-bit integer"
            ]
        );
    }

    #[test]
    fn a_moment_has_a_time_and_an_offset() {
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00.123456+02:00",
            "0000-01-01T00:00:00Z",
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
