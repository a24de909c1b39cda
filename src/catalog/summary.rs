//! The summary of an import.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::price_list::Remark;
use crate::text::one_line;

/// How many rows of one table an import wrote or left alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub providers: Tally,
    pub models: Tally,
    /// Prices rounded to ten decimal places.
    pub rounded: usize,
    /// Entries that the options exclude.
    pub filtered: usize,
    /// Fields that have no place in the catalogue, and how many imported models state each.
    pub not_kept: BTreeMap<String, usize>,
    /// How many prices are among them.
    pub prices_not_kept: usize,
    /// Pinned fields that the list has another value for. They were left alone.
    pub pinned: Vec<Remark>,
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
        if !self.pinned.is_empty() {
            write_remarks(f, "pinned", &self.pinned)?;
        }
        if !self.notes.is_empty() {
            write_remarks(f, "notes", &self.notes)?;
        }
        self.write_not_kept(f)?;
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

impl Summary {
    fn write_not_kept(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.not_kept.is_empty() {
            return Ok(());
        }
        let (fields, prices) = (self.not_kept.len(), self.prices_not_kept);
        writeln!(f, "{:10} {fields} fields, {prices} prices", "not kept")?;
        for (field, models) in &self.not_kept {
            writeln!(f, "  {}: {models}", one_line(field))?;
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
