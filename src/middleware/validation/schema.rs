//! The part of JSON Schema that poem-openapi writes for requests, compiled to a check that reports
//! every violation at once. A type that it does not know is a programming error, found at startup.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
};

use regex::Regex;
use serde_json::{Map, Value};

use super::{
    format::Format,
    names::{check_name, check_names},
    patterns::in_words,
};
use crate::{
    error::{FieldError, FieldErrors, Place},
    text,
};

/// A compiled schema.
#[derive(Debug)]
pub(crate) struct JsonSchema {
    nullable: bool,
    choices: Vec<Value>,
    pub(super) schema_type: SchemaType,
}

#[derive(Debug)]
pub(super) enum SchemaType {
    Any,
    Boolean,
    Integer(Range<i64>),
    Number(Range<f64>),
    String(StringBounds),
    Array(Box<ArrayBounds>),
    Object(ObjectFields),
}

#[derive(Debug)]
pub(super) struct Range<T> {
    min: T,
    max: T,
}

/// The longest string that is one line: names, titles and their like. Longer ones are texts of several
/// lines.
const MAX_LINE_LENGTH: usize = 1_000;

#[derive(Debug)]
pub(super) struct StringBounds {
    min_length: usize,
    max_length: usize,
    pattern: Option<Regex>,
    format: Option<Format>,
}

#[derive(Debug)]
pub(super) struct ArrayBounds {
    pub(super) item: JsonSchema,
    min_items: usize,
    max_items: usize,
}

#[derive(Debug)]
pub(super) struct ObjectFields {
    pub(super) properties: BTreeMap<String, JsonSchema>,
    required: Vec<String>,
    /// What other fields are, if those are accepted.
    pub(super) others: Option<Box<JsonSchema>>,
    max_fields: usize,
}

/// Follows a reference into the description's components.
///
/// # Panics
/// A reference that leads nowhere: the description is the program's own.
pub(in crate::middleware) fn resolve<'a>(node: &'a Value, description: &'a Value) -> &'a Value {
    let reference = node["$ref"]
        .as_str()
        .or_else(|| node["allOf"][0]["$ref"].as_str());
    reference.map_or(node, |reference| {
        let target = description.pointer(reference.trim_start_matches('#'));
        resolve(
            target.expect("a reference that leads somewhere"),
            description,
        )
    })
}

impl JsonSchema {
    /// Compiles a schema of the description.
    ///
    /// # Panics
    /// A reference that leads nowhere, a pattern that is no regular expression, or a type that
    /// this check does not know: the description is the program's own.
    pub(crate) fn compile(schema: &Value, description: &Value) -> Self {
        let target = resolve(schema, description);
        Self {
            nullable: schema["nullable"] == true || target["nullable"] == true,
            choices: target["enum"].as_array().cloned().unwrap_or_default(),
            schema_type: SchemaType::compile(target, description),
        }
    }

    /// Collects what is wrong with a body.
    pub(crate) fn check(&self, body: &Value, errors: &mut FieldErrors) {
        self.check_at(body, &Place::Body, errors);
    }

    fn check_at(&self, value: &Value, place: &Place<'_>, errors: &mut FieldErrors) {
        let mut report = |detail: &dyn Display| {
            errors.push(|| FieldError::at(place, detail.to_string()));
        };
        match (&self.schema_type, value) {
            (_, Value::Null) if self.nullable => {}
            (SchemaType::Boolean, Value::Bool(_)) => {}
            (SchemaType::Any, _) => check_names(value, place, errors),
            (SchemaType::Integer(range), Value::Number(number)) => match number.as_i64() {
                Some(number) => range.check(number, report),
                None => report(&"must be a 64-bit integer"),
            },
            (SchemaType::Number(range), Value::Number(number)) => {
                range.check(number.as_f64().unwrap_or(f64::NAN), report);
            }
            (SchemaType::String(_), Value::String(_)) if !self.choices.is_empty() => {
                if !self.choices.contains(value) {
                    report(&format_args!("must be one of {}", Choices(&self.choices)));
                }
            }
            (SchemaType::String(bounds), Value::String(text)) => bounds.check(text, report),
            (SchemaType::Array(bounds), Value::Array(items)) => bounds.check(items, place, errors),
            (SchemaType::Object(fields), Value::Object(members)) => {
                fields.check(members, place, errors);
            }
            (_, Value::Null) => report(&"must not be null"),
            (expected, _) => report(&format_args!("must be {}", expected.name())),
        }
    }

    /// Writes whole numbers such as `4096.0` as integers where the schema wants integers, and returns whether there
    /// were any: JSON has one kind of number, and some languages have only such numbers.
    pub(crate) fn make_integers(&self, value: &mut Value) -> bool {
        match (&self.schema_type, value) {
            (SchemaType::Integer(_), value @ Value::Number(_)) => match whole_number(value) {
                Some(whole) => {
                    *value = whole.into();
                    true
                }
                None => false,
            },
            (SchemaType::Array(bounds), Value::Array(items)) => {
                items
                    .iter_mut()
                    .map(|item| u32::from(bounds.item.make_integers(item)))
                    .sum::<u32>()
                    > 0
            }
            (SchemaType::Object(fields), Value::Object(members)) => {
                let made = fields.properties.iter().map(|(name, property)| {
                    let member = members.get_mut(name);
                    u32::from(member.is_some_and(|member| property.make_integers(member)))
                });
                made.sum::<u32>() > 0
            }
            _ => false,
        }
    }

    /// What is wrong with a parameter, which arrives as text.
    pub(crate) fn check_parameter(&self, text: &str) -> Option<String> {
        let value = match self.schema_type {
            SchemaType::Boolean => text.parse::<bool>().map(Value::from).ok(),
            SchemaType::Integer(_) => text.parse::<i64>().map(Value::from).ok(),
            SchemaType::Number(_) => text.parse::<f64>().map(Value::from).ok(),
            _ => None,
        };
        let mut errors = FieldErrors::default();
        self.check(&value.unwrap_or_else(|| text.into()), &mut errors);
        errors.listed().first().map(|error| error.detail.clone())
    }
}

struct Choices<'c>(&'c [Value]);

impl Display for Choices<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let choices: Vec<String> = self.0.iter().map(Value::to_string).collect();
        f.write_str(&choices.join(", "))
    }
}

impl SchemaType {
    fn compile(schema: &Value, description: &Value) -> Self {
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
            Some("string") => Self::String(StringBounds::compile(schema)),
            Some("array") => Self::Array(Box::new(ArrayBounds::compile(schema, description))),
            Some("object") => Self::Object(ObjectFields::compile(schema, description)),
            Some(other) => panic!("a schema of type {other} can't be checked"),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Any => "a value",
            Self::Boolean => "true or false",
            Self::Integer(_) => "an integer",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// The integer that a number with a fraction of zero, or an exponent, stands for.
fn whole_number(value: &Value) -> Option<i64> {
    /// Beyond it, a floating-point number stands for several integers.
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    let number = value.as_f64().filter(|_| value.is_f64())?;
    if number.fract() != 0.0 || number.abs() > MAX_EXACT {
        return None;
    }
    format!("{number:.0}").parse().ok()
}

/// A bound of the schema that is a count.
fn count(schema: &Value, keyword: &str) -> Option<usize> {
    usize::try_from(schema[keyword].as_u64()?).ok()
}

impl<T: Copy + PartialOrd + Display> Range<T> {
    fn check(&self, value: T, report: impl FnOnce(&dyn Display)) {
        if !(self.min..=self.max).contains(&value) {
            report(&format_args!("must be from {} to {}", self.min, self.max));
        }
    }
}

impl StringBounds {
    fn compile(schema: &Value) -> Self {
        let pattern = schema["pattern"].as_str();
        Self {
            min_length: count(schema, "minLength").unwrap_or(0),
            max_length: count(schema, "maxLength").unwrap_or(usize::MAX),
            pattern: pattern.map(|it| Regex::new(it).expect("a regular expression")),
            format: Format::compile(&schema["format"]),
        }
    }

    fn check(&self, text: &str, report: impl FnOnce(&dyn Display)) {
        let length = text.chars().count();
        if length < self.min_length {
            report(&format_args!(
                "must have at least {} characters",
                self.min_length
            ));
        } else if length > self.max_length {
            report(&format_args!(
                "must have at most {} characters",
                self.max_length
            ));
        } else if self.max_length <= MAX_LINE_LENGTH
            && let Some(control) = text.chars().find(|it| text::is_control(*it))
        {
            report(&format_args!(
                "contains the control character U+{:04X}",
                u32::from(control)
            ));
        } else if let Some(pattern) = &self.pattern
            && !pattern.is_match(text)
        {
            report(&in_words(pattern.as_str()));
        } else if let Some(format) = self.format
            && !format.matches(text)
        {
            report(&format_args!("must be {}", format.name()));
        }
    }
}

impl ArrayBounds {
    fn compile(schema: &Value, description: &Value) -> Self {
        Self {
            item: JsonSchema::compile(&schema["items"], description),
            min_items: count(schema, "minItems").unwrap_or(0),
            max_items: count(schema, "maxItems").unwrap_or(usize::MAX),
        }
    }

    fn check(&self, items: &[Value], place: &Place<'_>, errors: &mut FieldErrors) {
        let Self {
            min_items,
            max_items,
            ..
        } = self;
        let detail = if items.len() < *min_items {
            Some(format!("must have at least {min_items} items"))
        } else if items.len() > *max_items {
            Some(format!("must have at most {max_items} items"))
        } else {
            None
        };
        errors.extend(detail.map(|detail| FieldError::at(place, detail)));
        for (index, value) in items.iter().enumerate() {
            self.item
                .check_at(value, &Place::Item(place, index), errors);
        }
    }
}

impl ObjectFields {
    /// Whether its content is free.
    pub(super) fn is_free(&self) -> bool {
        let is_any = |others: &JsonSchema| matches!(others.schema_type, SchemaType::Any);
        self.others.as_deref().is_some_and(is_any)
    }

    fn compile(schema: &Value, description: &Value) -> Self {
        let properties = schema["properties"].as_object().into_iter().flatten();
        let required = schema["required"].as_array().into_iter().flatten();
        Self {
            properties: properties
                .map(|(name, schema)| (name.clone(), JsonSchema::compile(schema, description)))
                .collect(),
            required: required
                .filter_map(|name| name.as_str().map(ToOwned::to_owned))
                .collect(),
            others: schema["additionalProperties"]
                .is_object()
                .then(|| JsonSchema::compile(&schema["additionalProperties"], description))
                .map(Box::new),
            max_fields: count(schema, "maxProperties").unwrap_or(usize::MAX),
        }
    }

    fn check(&self, members: &Map<String, Value>, place: &Place<'_>, errors: &mut FieldErrors) {
        let is_missing = |name: &&String| !members.contains_key(*name);
        if members.len() > self.max_fields {
            let detail = format!("must have at most {} members", self.max_fields);
            errors.push(|| FieldError::at(place, detail));
        }
        for name in self.required.iter().filter(is_missing) {
            let member = Place::Member(place, name);
            errors.push(|| FieldError::at(&member, "is required"));
        }
        for (name, value) in members {
            let member = Place::Member(place, name);
            match (self.properties.get(name), &self.others) {
                (Some(property), _) => property.check_at(value, &member, errors),
                (None, Some(others)) => {
                    check_name(name, place, errors);
                    others.check_at(value, &member, errors);
                }
                (None, None) => errors.push(|| FieldError::at(&member, "is not a known field")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn faults(schema: &Value, value: &Value) -> Vec<String> {
        let mut errors = FieldErrors::default();
        JsonSchema::compile(schema, &Value::Null).check(value, &mut errors);
        errors.listed().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn whole_numbers_are_integers_where_the_schema_wants_some() {
        let schema = json!({
            "type": "object",
            "properties": {
                "size": {"type": "integer"},
                "ids": {"type": "array", "items": {"type": "integer"}},
                "share": {"type": "number"},
                "free": {"type": "object", "additionalProperties": {}}
            }
        });
        let schema = JsonSchema::compile(&schema, &Value::Null);
        let mut body =
            json!({"size": 4096.0, "ids": [1, 2.0, 3e2], "share": 1.0, "free": {"x": 1.0}});
        assert!(schema.make_integers(&mut body));
        assert_eq!(
            body.to_string(),
            r#"{"size":4096,"ids":[1,2,300],"share":1.0,"free":{"x":1.0}}"#
        );
        for other in [
            json!({"size": 4096}),
            json!({"size": 1.5}),
            json!({"size": 1e300}),
        ] {
            let mut body = other.clone();
            assert!(!schema.make_integers(&mut body));
            assert_eq!(body, other);
        }
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
}
