//! The header `Suspected-Secret` of a successful write: where what was stored may hold a secret.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use poem::{
    Response,
    http::{HeaderName, HeaderValue},
};

const HEADER: HeaderName = HeaderName::from_static("suspected-secret");

/// What a URI fragment does not take, and the comma between two of them.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'%')
    .add(b',')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Adds the header if the response is a success and there is something to report.
pub(super) fn report(response: &mut Response, pointers: &[String]) {
    if pointers.is_empty() || !response.status().is_success() {
        return;
    }
    let fragments: Vec<String> = pointers.iter().map(|pointer| fragment(pointer)).collect();
    if let Ok(value) = HeaderValue::try_from(fragments.join(", ")) {
        response.headers_mut().insert(HEADER, value);
    }
}

/// A pointer as a URI fragment; of a long one, the part that fits.
fn fragment(pointer: &str) -> String {
    const LONGEST: usize = 200;
    let mut fragment = utf8_percent_encode(pointer, ESCAPED).to_string();
    while fragment.len() > LONGEST {
        let parent = fragment.rfind('/').unwrap_or(1);
        fragment.truncate(parent);
    }
    fragment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_fragments_of_a_bounded_length() {
        assert_eq!(fragment("#/config/a~1b/0"), "#/config/a~1b/0");
        assert_eq!(fragment("#/config/ä, b"), "#/config/%C3%A4%2C%20b");
        let long = format!("#/config/{}/x", "a".repeat(300));
        assert_eq!(fragment(&long), "#/config");
        assert_eq!(fragment(&"#".repeat(300)), "#");
    }
}
