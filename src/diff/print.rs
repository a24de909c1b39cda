//! Differences as text: a line a field, or a unified diff.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::FieldChange;
use crate::text::{escaped, one_line};

/// The changes as text. Control characters are written as escapes, so the text can't command a terminal.
pub(crate) fn print(changes: &[FieldChange], coloured: bool) -> String {
    let mut text = String::new();
    for change in changes {
        put_change(&mut text, change, coloured);
    }
    text
}

fn put_change(text: &mut String, change: &FieldChange, coloured: bool) {
    let FieldChange {
        path,
        before,
        after,
        diff,
    } = change;
    let path = one_line(path);
    let mut put = |line: &str| put_line(text, line, coloured);
    if let Some(diff) = diff {
        put(&format!("~ {path}"));
        escaped(diff, "\n\t").lines().for_each(&mut put);
    }
    for (sign, value) in [('-', before), ('+', after)] {
        if let Some(value) = value {
            put(&one_line(&format!("{sign} {path}: {value}")));
        }
    }
}

/// A line in the colour of its sign.
fn put_line(text: &mut String, line: &str, coloured: bool) {
    let style = match line.as_bytes().first() {
        Some(b'+') if coloured => AnsiColor::Green.on_default(),
        Some(b'-') if coloured => AnsiColor::Red.on_default(),
        Some(b'~' | b'@') if coloured => AnsiColor::Cyan.on_default(),
        _ => Style::new(),
    };
    // Writing to a string does not fail.
    let _ = writeln!(text, "{style}{line}{style:#}");
}
