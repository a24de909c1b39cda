//! Names of labels.

use entity::label_name::LabelName;

use crate::error::Error;

/// Where a label may stand, this stands for what is not published.
pub(crate) const LIVE: &str = "live";

/// Checks a name that a client sent at this place. It can't be taken for the number of a release. Of requests, the form
/// has been checked.
pub(crate) fn check(pointer: impl Into<String>, name: &str) -> Result<(), Error> {
    if name == LIVE {
        let detail = "is not the name of a label: it stands for what is not published";
        return Err(Error::invalid(pointer, detail));
    }
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic());
    if !starts || name.len() > LabelName::MAX_LENGTH || !name.bytes().all(is_allowed) {
        let most = LabelName::MAX_LENGTH;
        let detail = format!(
            "is not the name of a label, which has at most {most} letters, digits, `.`, `_` and `-`, and has to start with a letter"
        );
        return Err(Error::invalid(pointer, detail));
    }
    Ok(())
}

/// Checks the names in a list.
pub(crate) fn check_all(pointer: &str, names: &[String]) -> Result<(), Error> {
    let mut names = names.iter().enumerate();
    names.try_for_each(|(index, name)| check(format!("{pointer}/{index}"), name))
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn a_name_is_allowed_that_the_description_allows() {
        let pattern = Regex::new(LabelName::PATTERN).expect("a pattern");
        for (name, allowed) in [
            ("production", true),
            ("Z", true),
            ("v1.2_rc-3", true),
            ("", false),
            ("7", false),
            (".a", false),
            ("a b", false),
            ("a/b", false),
            ("é", false),
            ("aé", false),
            ("a\n", false),
        ] {
            assert_eq!(check("query/label", name).is_ok(), allowed, "{name:?}");
            assert_eq!(pattern.is_match(name), allowed, "{name:?}");
        }
        let longest = "x".repeat(LabelName::MAX_LENGTH);
        assert!(check("query/label", &longest).is_ok());
        assert!(check("query/label", &format!("{longest}x")).is_err());
        assert!(check("query/label", LIVE).is_err());
    }
}
