//! What is wrong with the parts of a request.

use super::place::{Place, Pointer};

/// One invalid field of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {detail}")]
pub struct FieldError {
    /// A JSON pointer into the body as a URI fragment (`#/skill_names/0`), or a parameter's location and
    /// name (`query/limit`, `path/id`).
    pub pointer: String,
    pub detail: String,
}

impl FieldError {
    /// If the place is too far away for a pointer, this is the error of the parent that is not.
    pub(crate) fn at(place: &Place<'_>, detail: impl Into<String>) -> Self {
        let Pointer { text, is_whole } = place.bounded_pointer();
        let detail = detail.into();
        Self {
            pointer: text,
            detail: if is_whole {
                detail
            } else {
                format!("has a member, at some depth, that {detail}")
            },
        }
    }
}

/// Everything that is wrong with a request: the first hundred errors, and how many more there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldErrors {
    listed: Vec<FieldError>,
    omitted: usize,
}

impl FieldErrors {
    /// How many errors a response lists.
    pub(crate) const MAX_LISTED: usize = 100;

    /// Adds an error, which is only made if it is listed.
    pub(crate) fn push(&mut self, error: impl FnOnce() -> FieldError) {
        if self.listed.len() < Self::MAX_LISTED {
            self.listed.push(error());
        } else {
            self.omitted += 1;
        }
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.extend(other.listed);
        self.omitted += other.omitted;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    pub fn listed(&self) -> &[FieldError] {
        &self.listed
    }

    /// How many errors are not listed.
    pub fn omitted(&self) -> usize {
        self.omitted
    }
}

impl Extend<FieldError> for FieldErrors {
    fn extend<I: IntoIterator<Item = FieldError>>(&mut self, errors: I) {
        errors.into_iter().for_each(|error| self.push(|| error));
    }
}

impl From<Vec<FieldError>> for FieldErrors {
    fn from(errors: Vec<FieldError>) -> Self {
        let mut all = Self::default();
        all.extend(errors);
        all
    }
}

impl std::fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let listed: Vec<String> = self.listed.iter().map(ToString::to_string).collect();
        f.write_str(&listed.join("; "))?;
        match self.omitted {
            0 => Ok(()),
            omitted => write!(f, "; and {omitted} more"),
        }
    }
}
