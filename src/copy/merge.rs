//! Rows of both databases side by side, in the order of their keys.

use std::cmp::Ordering;

use futures_util::TryStreamExt;

use super::{
    catalogue::CopiedTable,
    datum::{DataRow, Datum},
    error::CopyError,
    report::TableDigest,
    session::RowStream,
};

/// What one key is about.
pub(super) enum MergeStep {
    /// Both have the same row.
    Same,
    /// Only the source has it.
    Missing(DataRow),
    /// Both have it, and the rows differ: the row of the target.
    Different(DataRow),
    /// Only the target has it.
    Gone(DataRow),
}

/// Reads the rows of a table from both databases. Either has them in the order of their keys, so one row of each is
/// enough to tell what the other lacks.
pub(super) struct Merge<'s> {
    table: &'s CopiedTable,
    source: RowStream<'s>,
    target: RowStream<'s>,
    next_source: Option<DataRow>,
    next_target: Option<DataRow>,
    /// What all rows of the source are that were seen.
    pub(super) digest: TableDigest,
}

impl<'s> Merge<'s> {
    pub(super) async fn begin(
        table: &'s CopiedTable,
        mut source: RowStream<'s>,
        mut target: RowStream<'s>,
    ) -> Result<Self, CopyError> {
        Ok(Self {
            table,
            next_source: source.try_next().await?,
            next_target: target.try_next().await?,
            source,
            target,
            digest: TableDigest::default(),
        })
    }

    /// The next key; `None` at the end of both.
    pub(super) async fn next(&mut self) -> Result<Option<MergeStep>, CopyError> {
        let order = match (&self.next_source, &self.next_target) {
            (None, None) => return Ok(None),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(source), Some(target)) => compare_keys(self.table, source, target),
        };
        let source = match order {
            Ordering::Greater => None,
            _ => std::mem::replace(&mut self.next_source, self.source.try_next().await?),
        };
        let target = match order {
            Ordering::Less => None,
            _ => std::mem::replace(&mut self.next_target, self.target.try_next().await?),
        };
        let canonical = source.as_deref().map(canonical);
        if let Some(row) = &canonical {
            self.digest.add(row);
        }
        Ok(match (source, target) {
            (Some(source), None) => Some(MergeStep::Missing(source)),
            (Some(_), Some(target)) if canonical == Some(self::canonical(&target)) => {
                Some(MergeStep::Same)
            }
            (Some(_), Some(target)) => Some(MergeStep::Different(target)),
            (None, Some(target)) => Some(MergeStep::Gone(target)),
            (None, None) => None,
        })
    }
}

/// The digest of all rows.
pub(super) async fn digest_of(mut rows: RowStream<'_>) -> Result<TableDigest, CopyError> {
    let mut digest = TableDigest::default();
    while let Some(row) = rows.try_next().await? {
        digest.add(&canonical(&row));
    }
    Ok(digest)
}

fn canonical(row: &[Datum]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(row.len() * 16);
    for datum in row {
        datum.append_canonical(&mut bytes);
    }
    bytes
}

fn compare_keys(table: &CopiedTable, one: &[Datum], two: &[Datum]) -> Ordering {
    let places = table.key.iter();
    places
        .map(|place| compare(&one[*place], &two[*place]))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// The order of values in keys. SQLite has numbers before texts.
fn compare(one: &Datum, two: &Datum) -> Ordering {
    match (one, two) {
        (Datum::Integer(one), Datum::Integer(two)) => one.cmp(two),
        (Datum::Text(one), Datum::Text(two)) => one.as_bytes().cmp(two.as_bytes()),
        (Datum::Integer(_), _) => Ordering::Less,
        (_, Datum::Integer(_)) => Ordering::Greater,
        _ => Ordering::Equal,
    }
}
