//! Who sent a request.

use std::fmt;

/// The client that a request is served for. What is stored for one caller is not shown to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    /// A client without a key, if none is required.
    #[default]
    Anyone,
    /// A client with the API key with this id.
    Key(i64),
}

impl Caller {
    /// The id of the API key, if there is one.
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
