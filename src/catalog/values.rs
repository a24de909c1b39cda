//! The values of a price list. What can't be read is said in words that follow the value.

use chrono::NaiveDate;
use poem_openapi::types::MaybeUndefined;
use serde_json::value::RawValue;

/// A field that the list does not state is left unchanged.
pub(super) fn stated<T>(value: Option<T>) -> MaybeUndefined<T> {
    MaybeUndefined::from_opt_undefined(value)
}

/// A value as the list writes it, cut to a readable length.
pub(super) fn shown(value: &RawValue) -> String {
    const CHARACTERS: usize = 60;
    let text = value.get();
    match text.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

pub(super) fn string(value: &RawValue) -> Result<String, String> {
    serde_json::from_str(value.get()).map_err(|_| "is not a string".to_owned())
}

pub(super) fn flag(value: &RawValue) -> Result<bool, String> {
    serde_json::from_str(value.get()).map_err(|_| "is not true or false".to_owned())
}

pub(super) fn strings(value: &RawValue) -> Result<Vec<String>, String> {
    serde_json::from_str(value.get()).map_err(|_| "is not a list of strings".to_owned())
}

pub(super) fn list(value: &RawValue) -> Result<Vec<&RawValue>, String> {
    serde_json::from_str(value.get()).map_err(|_| "is not a list".to_owned())
}

/// The start of a range.
pub(super) fn first_number(value: &RawValue) -> Result<i64, String> {
    let first = list(value)?.first().copied();
    first.ok_or_else(|| "is empty".to_owned()).and_then(tokens)
}

/// The text of a number, which some lists write as a string.
pub(super) fn number(value: &RawValue) -> String {
    match string(value) {
        Ok(text) => text.trim().to_owned(),
        Err(_) => value.get().to_owned(),
    }
}

/// A number of tokens by its value: `200000`, `2e5`, `200000.0`.
pub(super) fn tokens(value: &RawValue) -> Result<i64, String> {
    let number: Option<f64> = number(value).parse().ok();
    number
        .filter(|number| number.fract() == 0.0)
        .and_then(|number| format!("{number:.0}").parse().ok())
        .ok_or_else(|| "is not a number of tokens".to_owned())
}

pub(super) fn date(value: &RawValue) -> Result<NaiveDate, String> {
    let date = string(value).ok();
    date.and_then(|date| NaiveDate::parse_from_str(&date, "%Y-%m-%d").ok())
        .ok_or_else(|| "is not a date".to_owned())
}
