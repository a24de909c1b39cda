//! Where in a body something is.

/// A value in a JSON body. A check passes it down as it descends, and its JSON pointer is written only
/// for what is wrong: writing one for every value takes time and memory with the square of the body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'p> {
    Body,
    Member(&'p Place<'p>, &'p str),
    Item(&'p Place<'p>, usize),
}

/// The longest pointer, in bytes. The fields that the description declares have far shorter ones.
const MAX_POINTER_LENGTH: usize = 2000;

/// The pointer of a place, or of the innermost parent whose pointer is not too long.
pub(super) struct Pointer {
    pub(super) text: String,
    pub(super) is_whole: bool,
}

impl Place<'_> {
    /// A JSON pointer, as a fragment.
    pub(crate) fn pointer(&self) -> String {
        self.bounded_pointer().text
    }

    pub(super) fn bounded_pointer(&self) -> Pointer {
        match self {
            Self::Body => Pointer {
                text: "#".to_owned(),
                is_whole: true,
            },
            Self::Member(parent, name) => parent.bounded_pointer().child(name),
            Self::Item(parent, index) => parent.bounded_pointer().child(&index.to_string()),
        }
    }
}

impl Pointer {
    fn child(mut self, key: &str) -> Self {
        self.is_whole &= self.text.len() + key.len() < MAX_POINTER_LENGTH;
        if self.is_whole {
            push_key(&mut self.text, key);
        }
        self
    }
}

/// Appends a key to a JSON pointer (RFC 6901).
fn push_key(pointer: &mut String, key: &str) {
    pointer.push('/');
    for character in key.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_leads_to_a_place_or_to_the_parent_that_is_not_too_far_away() {
        let body = Place::Body;
        let config = Place::Member(&body, "config");
        assert_eq!(
            Place::Member(&config, "a/b~c").pointer(),
            "#/config/a~1b~0c"
        );
        let long = "x".repeat(MAX_POINTER_LENGTH);
        let member = Place::Member(&config, &long);
        assert_eq!(Place::Item(&member, 3).pointer(), "#/config");
        assert!(!Place::Item(&member, 3).bounded_pointer().is_whole);
    }
}
