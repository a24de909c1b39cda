//! Digests of JSON documents: the SHA-256 of their canonical form (RFC 8785), which neither the order of members nor
//! white space changes.
//!
//! RFC 8785 takes numbers for doubles, and recommends strings for those that no double holds (appendix D). Here an
//! integer beyond 2^53 counts as the string of its digits: ids of such length, which differ in their last digits, are
//! usual in free JSON.

use sea_orm::DbErr;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The largest integer up to which doubles hold all integers.
const MAX_SAFE: u64 = (1 << 53) - 1;

/// The digest of a document, in lower-case hexadecimal digits.
///
/// # Errors
/// A document that can't be written.
pub(crate) fn of_json(document: Value) -> Result<String, DbErr> {
    let canonical = serde_json_canonicalizer::to_vec(&exact(document))
        .map_err(|error| DbErr::Json(error.to_string()))?;
    Ok(hex::encode(Sha256::digest(canonical)))
}

/// The digest of the document that a text is.
///
/// # Errors
/// A text that is not JSON.
pub(crate) fn of_text(text: &str) -> Result<String, DbErr> {
    of_json(serde_json::from_str(text).map_err(|error| DbErr::Json(error.to_string()))?)
}

/// The document with a string in place of each integer that a double may not hold.
fn exact(value: Value) -> Value {
    match value {
        Value::Number(number) if !is_safe(&number) => Value::String(number.to_string()),
        Value::Array(items) => items.into_iter().map(exact).collect(),
        Value::Object(members) => {
            let members = members.into_iter();
            members.map(|(name, value)| (name, exact(value))).collect()
        }
        other => other,
    }
}

fn is_safe(number: &serde_json::Number) -> bool {
    let positive = number
        .as_u64()
        .or_else(|| number.as_i64().map(i64::unsigned_abs));
    positive.is_none_or(|size| size <= MAX_SAFE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        of_text(text).expect("a digest")
    }

    #[test]
    fn a_digest_is_the_sha256_of_the_canonical_text() {
        for (text, canonical) in [
            ("{}", "{}"),
            (
                r#" { "b" : 1.0 , "a" : [ 1e2, -0.0 ] } "#,
                r#"{"a":[100,0],"b":1}"#,
            ),
            (
                r#"{"\u20ac":"\u000F\n\/\"","1":null}"#,
                "{\"1\":null,\"€\":\"\\u000f\\n/\\\"\"}",
            ),
            // By UTF-16 units, not by code points.
            (
                r#"{"\ufb33":1,"\ud83d\ude00":2}"#,
                "{\"\u{1f600}\":2,\"\u{fb33}\":1}",
            ),
            ("[0.1,1e21,1e-7,5e-324]", "[0.1,1e+21,1e-7,5e-324]"),
            (
                "[9007199254740991,-9007199254740991]",
                "[9007199254740991,-9007199254740991]",
            ),
            ("[9007199254740993]", r#"["9007199254740993"]"#),
            ("[-9223372036854775808]", r#"["-9223372036854775808"]"#),
            ("[18446744073709551615]", r#"["18446744073709551615"]"#),
        ] {
            assert_eq!(of(text), hex::encode(Sha256::digest(canonical)), "{text}");
        }
    }

    #[test]
    fn digests_are_pinned() {
        for (text, digest) in [
            (
                "{}",
                "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            ),
            (
                "null",
                "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b",
            ),
        ] {
            assert_eq!(of(text), digest, "{text}");
        }
    }
}
