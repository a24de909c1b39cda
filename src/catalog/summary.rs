//! The summary of an import.

use std::fmt;

use super::price_list::Remark;
use crate::text::one_line;

/// How many rows of one table an import wrote or left alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub added: usize,
    pub changed: usize,
    pub unchanged: usize,
}

impl Tally {
    /// How many rows were written.
    pub(super) fn writes(self) -> usize {
        self.added + self.changed
    }
}

/// What an import did, or with `dry_run` would have done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub providers: Tally,
    pub models: Tally,
    /// Prices rounded to ten decimal places.
    pub rounded: usize,
    /// Entries that the options exclude.
    pub filtered: usize,
    /// Facts that were left out or look wrong.
    pub notes: Vec<Remark>,
    pub skipped: Vec<Remark>,
    /// Whether the list has entries and none was imported.
    pub found_nothing: bool,
    pub dry_run: bool,
    /// Whether the database of a dry run has no schema yet.
    pub needs_schema: bool,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, tally) in [("providers", self.providers), ("models", self.models)] {
            let Tally {
                added,
                changed,
                unchanged,
            } = tally;
            writeln!(
                f,
                "{name:10} {added} added, {changed} changed, {unchanged} unchanged"
            )?;
        }
        if self.rounded > 0 {
            writeln!(
                f,
                "{:10} {} rounded to ten decimal places",
                "prices", self.rounded
            )?;
        }
        if self.filtered > 0 {
            writeln!(f, "{:10} {} not asked for", "entries", self.filtered)?;
        }
        if !self.notes.is_empty() {
            write_remarks(f, "notes", &self.notes)?;
        }
        write_remarks(f, "skipped", &self.skipped)?;
        if self.needs_schema {
            writeln!(f, "the database is empty; an import makes its schema")?;
        }
        if self.dry_run {
            writeln!(f, "nothing was written (--dry-run)")?;
        }
        Ok(())
    }
}

fn write_remarks(f: &mut fmt::Formatter<'_>, title: &str, remarks: &[Remark]) -> fmt::Result {
    writeln!(f, "{title:10} {}", remarks.len())?;
    for Remark { key, text, .. } in remarks {
        writeln!(f, "  {}: {}", one_line(key), one_line(text))?;
    }
    Ok(())
}
