//! Names of members in free JSON: the one bound that it has besides the size of the body.

use serde_json::Value;

use crate::error::{FieldError, FieldErrors, Place};

/// The longest name of a member in free JSON, in characters. Its pointers stay readable, and so does
/// everything that names members by their path.
pub(crate) const MAX_NAME_LENGTH: usize = 256;

/// Checks the names of all members of a value whose other content is free.
pub(super) fn check_names(value: &Value, place: &Place<'_>, errors: &mut FieldErrors) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                check_name(name, place, errors);
                check_names(value, &Place::Member(place, name), errors);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check_names(item, &Place::Item(place, index), errors);
            }
        }
        _ => {}
    }
}

pub(super) fn check_name(name: &str, place: &Place<'_>, errors: &mut FieldErrors) {
    // Counting bytes first is cheap, and enough for most names.
    if name.len() > MAX_NAME_LENGTH && name.chars().count() > MAX_NAME_LENGTH {
        errors.push(|| {
            let detail =
                format!("has a member whose name is longer than {MAX_NAME_LENGTH} characters");
            FieldError::at(place, detail)
        });
    }
}
