//! Where in a body the search is. Its JSON pointer is written only for what is found.

use crate::error::pointer_to;

#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'p> {
    Body,
    Member(&'p Place<'p>, &'p str),
    Item(&'p Place<'p>, usize),
}

impl Place<'_> {
    /// A JSON pointer, as a fragment.
    pub(super) fn pointer(&self) -> String {
        match self {
            Self::Body => "#".to_owned(),
            Self::Member(parent, name) => pointer_to(&parent.pointer(), name),
            Self::Item(parent, index) => format!("{}/{index}", parent.pointer()),
        }
    }
}
