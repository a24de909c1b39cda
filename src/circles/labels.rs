//! Names of labels.

use crate::error::Error;

/// In characters.
const MAX_LENGTH: usize = 64;
/// Where a label may stand, this stands for what is not published.
pub(crate) const LIVE: &str = "live";

/// Checks a name that a client sent at this place. It can't be taken for the number of a release.
pub(crate) fn check(pointer: impl Into<String>, name: &str) -> Result<(), Error> {
    if name == LIVE {
        let detail = "is not the name of a label: it stands for what is not published";
        return Err(Error::invalid(pointer, detail));
    }
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic());
    if !starts || name.len() > MAX_LENGTH || !name.bytes().all(is_allowed) {
        let detail = format!(
            "is not the name of a label, which has at most {MAX_LENGTH} letters, digits, `.`, `_` and `-`, and has to start with a letter"
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
