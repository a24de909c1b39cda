//! The progress of a command, for the person at its terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// No bar, for what no person waits for at a terminal.
pub(crate) fn hidden() -> ProgressBar {
    ProgressBar::hidden()
}

/// A bar of so many rows on a terminal, and nothing otherwise.
pub(crate) fn bar(rows: u64, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(rows)
        .with_style(style)
        .with_message(what.to_owned())
}
