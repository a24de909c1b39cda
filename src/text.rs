//! Characters that change how the text around them is shown, and output without them.

use std::{borrow::Cow, io};

/// Whether the character is a control character, separates lines, or embeds, isolates or overrides the
/// direction of text. In output, such a character could forge lines, hide them or command a terminal.
pub(crate) fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with its control characters written as escapes: one line of output.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, "")
}

/// The text with its control characters written as escapes, except those in `kept`.
pub(crate) fn escaped<'t>(text: &'t str, kept: &str) -> Cow<'t, str> {
    let is_escaped = |character| is_control(character) && !kept.contains(character);
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut output = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_escaped(character) {
            output.extend(character.escape_default());
        } else {
            output.push(character);
        }
    }
    Cow::Owned(output)
}

/// Output for a person. What it quotes (names, files, messages of the database) can't command the
/// terminal.
#[derive(Debug)]
pub(crate) struct Terminal<W>(pub(crate) W);

impl<W: io::Write> io::Write for Terminal<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.0.write_all(escaped(&text, "\n\t").as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use io::Write;

    use super::*;

    #[test]
    fn control_characters_are_written_as_escapes_and_nothing_else_is() {
        for (text, line) in [
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            (
                "\u{1b}[2J\u{7f}\u{9b}1m\0",
                "\\u{1b}[2J\\u{7f}\\u{9b}1m\\u{0}",
            ),
            ("a\u{2028}b\u{2029}c\u{85}", "a\\u{2028}b\\u{2029}c\\u{85}"),
            (
                "\u{202e}a\u{202c}\u{2067}b\u{2069}",
                "\\u{202e}a\\u{202c}\\u{2067}b\\u{2069}",
            ),
        ] {
            assert_eq!(one_line(text), line);
        }
        for text in [
            "Ada \"x\" \\n",
            "团队 é",
            "👩\u{200d}💻",
            "שלום\u{200f}!",
            "a\u{a0}b",
        ] {
            assert_eq!(one_line(text), text);
        }
    }

    #[test]
    fn output_for_a_terminal_keeps_its_lines() {
        let mut output = Vec::new();
        let mut terminal = Terminal(&mut output);
        writeln!(terminal, "é\u{1b}]0;x\u{7}\tb\rc").expect("written");
        let shown = String::from_utf8(output).expect("UTF-8");
        assert_eq!(shown, "é\\u{1b}]0;x\\u{7}\tb\\rc\n");
    }
}
