//! A strict JSON parser. RFC 8259 leaves the meaning of a duplicate key open, and PostgreSQL can't
//! store a NUL character. Both are reported here, with their location.

use std::{
    cell::{Cell, RefCell},
    fmt,
};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::problem::RequestError;
use crate::error::{Error, FieldError, FieldErrors, Place};

/// The most values that a body may hold, at any depth. Each takes up to half a kilobyte of memory, and
/// in the text no more than two bytes.
const MAX_VALUES: usize = 50_000;

/// Parses JSON.
///
/// # Errors
/// [`RequestError`] for text that is not JSON or has a duplicate key, [`Error::Invalid`] for a NUL
/// character or too many values.
pub(crate) fn parse(text: &[u8]) -> poem::Result<Value> {
    let found = Findings::default();
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = StrictValue {
        found: &found,
        place: Place::Body,
    }
    .deserialize(&mut deserializer)
    .and_then(|value| deserializer.end().map(|()| value));
    let Findings {
        values,
        duplicates,
        nul,
    } = found;
    if values.into_inner() > MAX_VALUES {
        let detail = format!("holds more than {MAX_VALUES} values");
        return Err(Error::invalid("#", detail).into());
    }
    let value = value.map_err(|error| RequestError::MalformedJson(error.to_string()))?;
    let (duplicates, nul) = (duplicates.into_inner(), nul.into_inner());
    if !duplicates.is_empty() {
        return Err(RequestError::DuplicateKey(duplicates).into());
    }
    if !nul.is_empty() {
        return Err(Error::Invalid(nul).into());
    }
    Ok(value)
}

#[derive(Default)]
struct Findings {
    values: Cell<usize>,
    duplicates: RefCell<FieldErrors>,
    nul: RefCell<FieldErrors>,
}

struct StrictValue<'f> {
    found: &'f Findings,
    place: Place<'f>,
}

impl StrictValue<'_> {
    fn check_string(&self, text: &str) {
        if text.contains('\0') {
            let detail = "contains a NUL character, which can't be stored";
            let mut found = self.found.nul.borrow_mut();
            found.push(|| FieldError::at(&self.place, detail));
        }
    }
}

impl<'de> DeserializeSeed<'de> for StrictValue<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let values = &self.found.values;
        values.set(values.get() + 1);
        if values.get() > MAX_VALUES {
            return Err(serde::de::Error::custom("too many values"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictValue<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        self.check_string(text);
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        self.check_string(&text);
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(StrictValue {
            found: self.found,
            place: Place::Item(&self.place, list.len()),
        })? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let member = StrictValue {
                found: self.found,
                place: Place::Member(&self.place, &key),
            };
            member.check_string(&key);
            let value = entries.next_value_seed(member)?;
            if map.contains_key(&key) {
                let place = Place::Member(&self.place, &key);
                let mut duplicates = self.found.duplicates.borrow_mut();
                duplicates.push(|| FieldError::at(&place, "appears more than once"));
            } else {
                map.insert(key, value);
            }
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(text.as_bytes()).expect_err(text).to_string()
    }

    #[test]
    fn valid_json_parses_as_serde_parses_it() {
        let text = r#"{"a":[1,-2,0.5,"x",null,true,{}],"b":{"c":18446744073709551615}}"#;
        let value = parse(text.as_bytes()).expect("JSON");
        assert_eq!(value, serde_json::from_str::<Value>(text).expect("JSON"));
    }

    #[test]
    fn a_duplicate_key_is_found_at_any_depth() {
        let error = parse(br#"{"a":[{"b/c":1,"b/c":2}]}"#).expect_err("a duplicate");
        let Some(RequestError::DuplicateKey(errors)) = error.downcast_ref() else {
            panic!("{error}")
        };
        assert_eq!(errors.listed()[0].pointer, "#/a/0/b~1c");
    }

    #[test]
    fn a_nul_character_is_found_in_strings_and_keys() {
        assert!(refused(r#"{"a":["x\u0000y"]}"#).starts_with("#/a/0: "));
        assert!(refused("{\"k\\u0000\":1}").contains("NUL"));
    }

    #[test]
    fn too_many_values_are_refused_at_the_first_that_is_too_much() {
        let list = |values: usize| format!("[{}", "1,".repeat(values - 2));
        assert!(parse(format!("{}1]", list(MAX_VALUES)).as_bytes()).is_ok());
        let more = list(MAX_VALUES + 1);
        assert!(refused(&format!("{more}1]")).contains("more than 50000 values"));
        assert!(refused(&format!("{more}1,and no JSON")).contains("more than 50000 values"));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in ["", "{", "{}{}", "nul", r#""\ud800""#, "1e400", "{\"a\":1,}"] {
            assert!(refused(text).contains("not JSON"), "{text}");
        }
        assert!(refused(&"[".repeat(200)).contains("recursion limit"));
    }
}
