//! Telling words from chance.

use std::sync::LazyLock;

use regex::Regex;

/// Words, joined words (`camelCase`), numbers and dates, joined by hyphens, dots and their like.
static WORDY: LazyLock<Regex> = LazyLock::new(|| {
    const WORD: &str = "[A-Za-z][a-z]{2,20}(?:[A-Z][a-z]{2,20}){0,7}[0-9]{0,4}|[A-Z]{1,14}[0-9]{0,2}\
        |[A-Za-z][a-z]?[0-9]{0,4}|[0-9]{1,4}[a-z]{0,2}|(?:19|20)[0-9]{6}|";
    Regex::new(&format!("(?-u)^(?:{WORD})(?:[_./:-](?:{WORD}))*$")).expect("a regular expression")
});

/// Whether a text is words and small numbers; random characters are hardly ever.
pub(super) fn is_wordy(text: &str) -> bool {
    WORDY.is_match(text)
}

/// Whether a text is what samples are made of: a character repeated eight times, or hardly any others.
pub(super) fn has_few_characters(text: &str) -> bool {
    const FEW: u32 = 4;
    const LONG: usize = 16;
    const REPEATED: usize = 8;
    let (mut seen, mut length, mut previous, mut repeated) = (0_u128, 0, 0, 0);
    for byte in text.bytes().filter(u8::is_ascii_alphanumeric) {
        seen |= 1 << byte;
        length += 1;
        repeated = if byte == previous { repeated + 1 } else { 1 };
        previous = byte;
        if repeated == REPEATED {
            return true;
        }
    }
    length >= LONG && seen.count_ones() <= FEW
}

/// Whether only chance mixes characters so: of 32 random ones, 20 differ in kind from the one before;
/// of words, dates and versions run together, few do. Keys are not longer than 200; pictures are.
pub(super) fn is_mixed(run: &str) -> bool {
    const LONGEST: usize = 200;
    const SHORTEST: usize = 32;
    if !(SHORTEST..=LONGEST).contains(&run.len()) {
        return false;
    }
    let kinds: Vec<u8> = run.bytes().filter_map(kind).collect();
    let changes = kinds.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let has_all = [b'a', b'A', b'0'].iter().all(|kind| kinds.contains(kind));
    kinds.len() >= SHORTEST && has_all && changes * 5 >= kinds.len() * 2
}

fn kind(byte: u8) -> Option<u8> {
    match byte {
        b'a'..=b'z' => Some(b'a'),
        b'A'..=b'Z' => Some(b'A'),
        b'0'..=b'9' => Some(b'0'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_from_chance() {
        for text in [
            "sk-learn-compatible-estimators",
            "risk-report-2026-v2",
            "NewCompanyProduct-api_key",
            "YOUR_API_KEY",
            "backup-20260131",
            "hunter2",
        ] {
            assert!(is_wordy(text), "{text}");
        }
        for text in [
            "Zq3vT9xKpL2m-Wc8RnY5bJd",
            "0123456789abcdef0123456789abcdef",
            "xoxb-123456789012-abc",
        ] {
            assert!(!is_wordy(text), "{text}");
        }
        assert!(is_mixed("Zq3vT9xKpL2mWc8RnY5bJd7HfGs1AeUi"));
        assert!(!is_mixed("getUserAccountInformationByIdentifierAndRegion2"));
        assert!(has_few_characters("xxxx-xxxx-xxxx"));
        assert!(has_few_characters("abcdabcdabcdabcd"));
        assert!(!has_few_characters("1122"));
    }
}
