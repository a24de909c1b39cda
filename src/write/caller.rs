//! Who sent a request.

use std::fmt;

/// Whoever a request is served for: what is kept for one caller is not shown to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    /// Someone who showed no key, where none is needed.
    #[default]
    Anyone,
    /// The owner of the API key of this id.
    Key(i64),
}

impl Caller {
    /// The id of the API key, where there is one.
    pub(crate) fn key_id(self) -> Option<i64> {
        match self {
            Self::Anyone => None,
            Self::Key(id) => Some(id),
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::Key(id) => write!(f, "key {id}"),
        }
    }
}
