//! Tokens: `crk_<id>_<secret>`.
//!
//! The secret is 32 random bytes, followed by a CRC32 of everything before it. With it, a scanner can tell a
//! leaked token from similar text, and a mistyped token costs no query. Only the SHA-256 of the random part
//! is stored: with 256 random bits, a slow hash adds nothing.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use crc::{CRC_32_ISO_HDLC, Crc};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The start of every token.
const PREFIX: &str = "crk_";
const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Digits of base 62 that hold eight bytes.
const WORD: usize = 11;
const RANDOM: usize = 4 * WORD;
/// Digits of base 62 that hold a CRC32.
const CHECK: usize = 6;

/// A whole token. Only [`Token::reveal`] shows it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token {
    id: i64,
    text: String,
}

/// The random part of a token, before its key has an id.
pub(crate) struct Secret(String);

impl Secret {
    /// A new one, from the operating system's randomness.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        let (words, _) = bytes.as_chunks::<8>();
        Ok(Self(
            words
                .iter()
                .map(|word| base62::<WORD>(u64::from_be_bytes(*word)))
                .collect(),
        ))
    }

    /// What is stored of it.
    pub(crate) fn hash(&self) -> String {
        hash(&self.0)
    }

    /// The token of the key of this id.
    pub(crate) fn of_key(&self, id: i64) -> Token {
        let text = format!("{PREFIX}{id}_{}", self.0);
        let check = base62::<CHECK>(CHECKSUM.checksum(text.as_bytes()).into());
        Token {
            id,
            text: text + &check,
        }
    }
}

impl Token {
    /// Parses a token; `None` if it is malformed or mistyped.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let sound = secret.len() == RANDOM + CHECK
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && id.bytes().all(|byte| byte.is_ascii_digit())
            && !id.starts_with('0');
        if !sound {
            return None;
        }
        let (body, check) = text.split_at(text.len() - CHECK);
        let expected = base62::<CHECK>(CHECKSUM.checksum(body.as_bytes()).into());
        (check == expected).then_some(Self {
            id: id.parse().ok()?,
            text: text.to_owned(),
        })
    }

    /// The id of the key that it claims.
    pub(crate) fn id(&self) -> i64 {
        self.id
    }

    /// Its text, for its owner.
    pub(crate) fn reveal(&self) -> &str {
        &self.text
    }

    /// Whether this hash was stored for its secret. Takes the same time for either result.
    pub(crate) fn is_of(&self, stored: &str) -> bool {
        let end = self.text.len() - CHECK;
        let own = hash(&self.text[end - RANDOM..end]);
        own.as_bytes().ct_eq(stored.as_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").finish_non_exhaustive()
    }
}

fn hash(secret: &str) -> String {
    BASE64_STANDARD_NO_PAD.encode(Sha256::digest(secret))
}

/// A number as exactly so many digits, the highest first.
fn base62<const COUNT: usize>(mut number: u64) -> String {
    let mut digits = ['0'; COUNT];
    for digit in digits.iter_mut().rev() {
        let index = usize::try_from(number % 62).unwrap_or_default();
        *digit = char::from(DIGITS[index]);
        number /= 62;
    }
    digits.iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_token(id: i64) -> Token {
        Secret::random().expect("randomness").of_key(id)
    }

    #[test]
    fn a_token_reads_back_and_is_what_was_kept_of_it() {
        for id in [1, 42, i64::MAX] {
            let secret = Secret::random().expect("randomness");
            let token = secret.of_key(id);
            assert_eq!(Token::parse(token.reveal()), Some(token.clone()));
            assert_eq!(token.id(), id);
            assert!(token.is_of(&secret.hash()));
            assert!(!a_token(id).is_of(&secret.hash()));
        }
    }

    #[test]
    fn a_number_fills_its_digits() {
        assert_eq!(base62::<WORD>(0), "00000000000");
        assert_eq!(base62::<WORD>(u64::MAX), "LygHa16AHYF");
        assert_eq!(base62::<CHECK>(u64::from(u32::MAX)), "4gfFC3");
    }

    #[test]
    fn a_mistyped_token_is_none() {
        let token = a_token(7);
        let text = token.reveal();
        for place in 0..text.len() {
            let mut other = text.to_owned().into_bytes();
            other[place] = if other[place] == b'x' { b'y' } else { b'x' };
            let other = String::from_utf8(other).expect("a text");
            assert_eq!(Token::parse(&other), None, "{place}");
        }
        let (_, secret) = text.rsplit_once('_').expect("a secret");
        for other in [
            "",
            "crk_",
            "crk_7",
            "crk_7_",
            &text[..text.len() - 1],
            &format!("{text}0"),
            &format!(" {text}"),
            &format!("crk_07_{secret}"),
            &format!("crk_-7_{secret}"),
            &format!("crk_8_{secret}"),
            &format!("crk_99999999999999999999_{secret}"),
        ] {
            assert_eq!(Token::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_token_shows_nothing_of_itself() {
        let secret = Secret::random().expect("randomness");
        let token = secret.of_key(7);
        assert_eq!(format!("{token:?}"), "Token { id: 7, .. }");
        assert_eq!(format!("{secret:?}"), "Secret { .. }");
    }
}
