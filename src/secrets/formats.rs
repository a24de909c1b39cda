//! Keys by their form: one automaton finds where a key may start, and the pattern of that format
//! decides. Both take time in proportion to the text.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::Regex;

use super::words::{has_few_characters, is_wordy};

/// A start this long is no accident, even inside a word or in encoded data.
const DISTINCTIVE: usize = 6;

/// No key is shorter.
const SHORTEST: usize = 12;

struct KeyFormat {
    pattern: Regex,
    kind: &'static str,
    /// Whether the pattern also matches words.
    takes_words: bool,
}

/// What the search looks for.
struct Start {
    format: usize,
    /// How many characters of the key come before it.
    behind: usize,
    literal: &'static str,
}

struct Table {
    formats: Vec<KeyFormat>,
    starts: Vec<Start>,
    search: AhoCorasick,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("formats.txt")));

/// The kind of the first key that a text is or holds.
pub(super) fn find(text: &str) -> Option<&'static str> {
    if text.len() < SHORTEST {
        return None;
    }
    TABLE.find(text)
}

impl Table {
    fn read(table: &'static str) -> Self {
        let (mut formats, mut starts) = (Vec::new(), Vec::new());
        let lines = table.lines().map(str::trim_end);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let columns: Vec<&str> = columns(line).collect();
            let [literals, pattern, kind, _source] = columns[..] else {
                panic!("{line}: four columns");
            };
            starts.extend(literals.split(' ').map(|literal| {
                let (behind, literal) = split_behind(literal);
                Start {
                    format: formats.len(),
                    behind,
                    literal,
                }
            }));
            formats.push(KeyFormat {
                pattern: Regex::new(&format!("(?-u)^(?:{pattern})")).expect(pattern),
                kind,
                takes_words: pattern.contains("a-z") || pattern.contains(r"[\w"),
            });
        }
        let literals = starts.iter().map(|start| start.literal);
        let mut search = AhoCorasick::builder();
        let search = search.kind(Some(AhoCorasickKind::DFA)).build(literals);
        Self {
            formats,
            starts,
            search: search.expect("an automaton"),
        }
    }

    fn find(&self, text: &str) -> Option<&'static str> {
        let at = self.search.find_overlapping_iter(text).find_map(|found| {
            let start = &self.starts[found.pattern().as_usize()];
            let at = found.start().checked_sub(start.behind)?;
            self.is_key(text, at, start).then_some(at)
        })?;
        // Of several formats, the one that says most.
        let here = self.starts.iter().filter(|start| {
            let literal = text.as_bytes().get(at + start.behind..);
            literal.is_some_and(|rest| rest.starts_with(start.literal.as_bytes()))
                && self.is_key(text, at, start)
        });
        let start = here.max_by_key(|start| start.literal.len())?;
        Some(self.formats[start.format].kind)
    }

    fn is_key(&self, text: &str, at: usize, start: &Start) -> bool {
        start.may_be_at(text, at) && self.formats[start.format].is_at(text, at, start)
    }
}

impl Start {
    fn may_be_at(&self, text: &str, at: usize) -> bool {
        let mut before = text.as_bytes()[at..at + self.behind].iter().rev();
        let others: &[u8] = if self.literal == "." { b"" } else { b"~.+/" };
        before.next().is_none_or(|last| is_of_key(*last))
            && before.all(|byte| is_of_key(*byte) || others.contains(byte))
            && (self.behind == 0 && self.literal.len() >= DISTINCTIVE || begins_word(text, at))
    }
}

impl KeyFormat {
    fn is_at(&self, text: &str, at: usize, start: &Start) -> bool {
        let Some(found) = self.pattern.find(&text[at..]) else {
            return false;
        };
        let key = whole_key(text, at, found.len());
        let literal = start.behind + start.literal.len();
        let is_sample = if start.behind > 0 {
            key.len() - literal >= SHORTEST && is_wordy(&key[literal..])
        } else {
            has_few_characters(&found.as_str()[literal..]) || self.takes_words && is_wordy(key)
        };
        !is_sample
    }
}

fn columns(line: &str) -> impl Iterator<Item = &str> {
    line.split("  ").map(str::trim).filter(|it| !it.is_empty())
}

/// Splits `{32}-us` into 32 and `-us`.
fn split_behind(literal: &str) -> (usize, &str) {
    let parts = literal.strip_prefix('{').and_then(|it| it.split_once('}'));
    let split = parts.and_then(|(behind, rest)| Some((behind.parse().ok()?, rest)));
    split.unwrap_or((0, literal))
}

fn is_of_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// Whether a key can begin here: not inside a word, but after an escape (`\n`, `%3D`).
fn begins_word(text: &str, at: usize) -> bool {
    match text.as_bytes()[..at] {
        [] | [.., b'\\', b'n' | b'r' | b't'] => true,
        [.., b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => true,
        [.., before] => !is_of_key(before),
    }
}

/// A key with what follows what its pattern asks for, as far as telling words from chance takes.
fn whole_key(text: &str, at: usize, matched: usize) -> &str {
    const ENOUGH: usize = 48;
    let rest = text.as_bytes()[at + matched..].iter();
    let more = rest.take_while(|byte| is_of_key(**byte));
    &text[at..at + matched + more.take(ENOUGH).count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_whole() {
        let table = Table::read(include_str!("formats.txt"));
        assert!(table.formats.len() > 150);
        for (index, format) in table.formats.iter().enumerate() {
            assert!(!format.kind.is_empty());
            assert!(table.starts.iter().any(|start| start.format == index));
        }
        assert_eq!(split_behind("{32}-us"), (32, "-us"));
        assert_eq!(split_behind("sk-"), (0, "sk-"));
    }

    #[test]
    fn a_key_begins_where_a_word_does_or_by_a_distinctive_start() {
        let key = "Zq3vT9xKpL2mWc8RnY5bJd7HfGs1AeUi";
        for text in [
            "sk-@",
            "x=sk-@",
            "\"sk-@\"",
            "a\\nsk-@",
            "k%3Dsk-@",
            "über sk-@",
            "xsk-ant-@",
        ] {
            assert!(find(&text.replace('@', key)).is_some(), "{text}");
        }
        for text in ["risk-@", "a-sk-@", "_sk-@"] {
            assert!(find(&text.replace('@', key)).is_none(), "{text}");
        }
    }

    #[test]
    fn samples_in_documentation_are_no_keys() {
        for text in [
            "sk-ant-api03-your-key-goes-here",
            "sk-proj-YOUR_OPENAI_API_KEY_HERE",
            "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "AIzaSyXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX",
            "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
            "sk-...",
            "eyJ...",
            "-----BEGIN PRIVATE KEY-----",
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE...\n-----END RSA PRIVATE KEY-----",
        ] {
            assert_eq!(find(text), None, "{text}");
        }
    }
}
