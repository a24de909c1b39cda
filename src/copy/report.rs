//! What was copied, for people and programs.

use std::fmt;

use serde::{Serialize, Serializer};

/// How many rows a table has, and a checksum of them that is the same on both databases.
#[derive(Clone, Default)]
pub(super) struct TableDigest {
    rows: u64,
    hasher: blake3::Hasher,
}

/// What a checksum is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct TableChecksum {
    pub(crate) rows: u64,
    #[serde(serialize_with = "hexadecimal")]
    checksum: [u8; 32],
}

impl TableDigest {
    /// Adds the canonical form of the next row.
    pub(super) fn add(&mut self, row: &[u8]) {
        self.rows += 1;
        self.hasher.update(&(row.len() as u64).to_be_bytes());
        self.hasher.update(row);
    }

    pub(super) fn finish(&self) -> TableChecksum {
        TableChecksum {
            rows: self.rows,
            checksum: *self.hasher.finalize().as_bytes(),
        }
    }
}

fn hexadecimal<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}

impl TableChecksum {
    /// The first half of a quarter of it, which is enough to compare by eye.
    fn short(&self) -> String {
        hex::encode(&self.checksum[..8])
    }
}

/// One table in both databases.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CopiedRows {
    pub(crate) table: String,
    pub(crate) source: TableChecksum,
    pub(crate) target: TableChecksum,
}

impl CopiedRows {
    fn is_same(&self) -> bool {
        self.source == self.target
    }
}

/// The outcome of a copy.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CopyReport {
    pub(crate) tables: Vec<CopiedRows>,
    /// Whether all tables are the same. Otherwise the copy is not finished.
    pub(crate) identical: bool,
}

impl CopyReport {
    pub(super) fn of(tables: Vec<CopiedRows>) -> Self {
        Self {
            identical: tables.iter().all(CopiedRows::is_same),
            tables,
        }
    }
}

impl fmt::Display for CopyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.tables.iter().map(|rows| rows.table.len());
        let width = widths.max().unwrap_or_default();
        writeln!(
            f,
            "{:width$}  {:>10}  {:16}  {:>10}  target",
            "table", "rows", "source", "rows"
        )?;
        for rows in &self.tables {
            let CopiedRows {
                table,
                source,
                target,
            } = rows;
            let verdict = if rows.is_same() { "" } else { "  differs" };
            writeln!(
                f,
                "{table:width$}  {:>10}  {}  {:>10}  {}{verdict}",
                source.rows,
                source.short(),
                target.rows,
                target.short()
            )?;
        }
        let rows: u64 = self.tables.iter().map(|rows| rows.source.rows).sum();
        let tables = self.tables.len();
        if self.identical {
            return writeln!(
                f,
                "copied {rows} rows of {tables} tables; all are the same in both"
            );
        }
        let different = self.tables.iter().filter(|rows| !rows.is_same());
        let different: Vec<&str> = different.map(|rows| &*rows.table).collect();
        writeln!(
            f,
            "not the same: {}; the copy is not finished, run it again",
            different.join(", ")
        )
    }
}
