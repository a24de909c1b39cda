//! How far a copy is: a bar on a terminal, and lines otherwise.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use indicatif::ProgressBar;

use super::{catalogue::CopiedTable, error::CopyError, session::CopySession};
use crate::{progress, text::Terminal};

/// How long no line is written while a table is copied.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

pub(super) struct CopyProgress {
    bar: ProgressBar,
    copied: u64,
    rows: u64,
    line_at: Instant,
}

impl CopyProgress {
    pub(super) async fn of(
        tables: &[CopiedTable],
        source: &mut CopySession,
    ) -> Result<Self, CopyError> {
        let mut rows = 0;
        for table in tables {
            let count = source.count(&table.name).await?;
            rows += u64::try_from(count).unwrap_or_default();
        }
        Ok(Self {
            bar: progress::bar(rows, "rows"),
            copied: 0,
            rows,
            line_at: Instant::now(),
        })
    }

    pub(super) fn copied(&mut self, table: &str, rows: u64) {
        self.copied += rows;
        self.bar.inc(rows);
        if self.line_at.elapsed() >= LINE_INTERVAL {
            self.line(&format!(
                "{table}: {} of {} rows of all tables",
                self.copied, self.rows
            ));
        }
    }

    /// The table has all its rows.
    pub(super) fn end(&mut self, table: &str, rows: u64) {
        self.line(&format!("{table}: {rows} rows"));
    }

    pub(super) fn compare(&mut self) {
        self.bar.set_message("comparing");
        self.line("comparing both databases");
    }

    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
    }

    fn line(&mut self, text: &str) {
        self.line_at = Instant::now();
        if self.bar.is_hidden() {
            // A copy does not fail because nothing takes its lines.
            let _ = writeln!(Terminal(io::stderr()), "{text}");
        }
    }
}
