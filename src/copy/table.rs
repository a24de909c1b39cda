//! Copying one table.

use futures_util::stream;

use super::{
    catalogue::CopiedTable,
    datum::{DataRow, Datum},
    error::CopyError,
    merge::{Merge, MergeStep},
    progress_lines::CopyProgress,
    report::TableChecksum,
    session::CopySession,
    unfinished::UnfinishedCopy,
};

/// One transaction has at most so many rows, and about so many bytes. Less is copied again after a kill then, and
/// nothing is faster with more.
const BATCH_ROWS: usize = 5_000;
const BATCH_BYTES: usize = 4 << 20;

/// Makes the rows of a table of the target those of the source. What it returns is of the source.
pub(super) async fn copy(
    table: &CopiedTable,
    source: &mut CopySession,
    target: &mut CopySession,
    reader: &mut CopySession,
    run: &UnfinishedCopy,
    progress: &mut CopyProgress,
) -> Result<TableChecksum, CopyError> {
    reader.begin_to_read().await?;
    let is_empty = reader.count(&table.name).await? == 0;
    if !is_empty {
        // First, so that no row that is inserted meets one that has its unique values no more.
        let (checksum, missing) = delete_others(table, source, target, reader, run).await?;
        reader.execute("COMMIT").await?;
        if missing == 0 {
            progress.copied(&table.name, checksum.rows);
            return Ok(checksum);
        }
        // What was deleted is gone for this one.
        reader.begin_to_read().await?;
    }
    let theirs = if is_empty {
        Box::pin(stream::empty())
    } else {
        reader.rows(table)
    };
    let mut merge = Merge::begin(table, source.rows(table), theirs).await?;
    let mut batch = RowBatch::new(table, RowChange::Insert);
    while let Some(step) = merge.next().await? {
        if let MergeStep::Missing(row) = step {
            batch.add(row);
        }
        if batch.is_full() {
            batch.write(target, run).await?;
        }
        progress.copied(&table.name, 1);
    }
    batch.write(target, run).await?;
    let checksum = merge.digest.finish();
    drop(merge);
    reader.execute("COMMIT").await?;
    Ok(checksum)
}

/// Deletes the rows that the source does not have, or has otherwise. How many it has that the target lacks then.
async fn delete_others(
    table: &CopiedTable,
    source: &mut CopySession,
    target: &mut CopySession,
    reader: &mut CopySession,
    run: &UnfinishedCopy,
) -> Result<(TableChecksum, u64), CopyError> {
    let mut merge = Merge::begin(table, source.rows(table), reader.rows(table)).await?;
    let (mut batch, mut missing) = (RowBatch::new(table, RowChange::Delete), 0);
    while let Some(step) = merge.next().await? {
        match step {
            MergeStep::Same => {}
            MergeStep::Missing(_) => missing += 1,
            MergeStep::Gone(row) => batch.add(row),
            MergeStep::Different(row) => {
                missing += 1;
                batch.add(row);
            }
        }
        if batch.is_full() {
            batch.write(target, run).await?;
        }
    }
    batch.write(target, run).await?;
    Ok((merge.digest.finish(), missing))
}

/// What is done with the rows of a batch.
#[derive(Clone, Copy)]
enum RowChange {
    Insert,
    Delete,
}

/// Rows for one transaction.
struct RowBatch<'t> {
    table: &'t CopiedTable,
    change: RowChange,
    rows: Vec<DataRow>,
    bytes: usize,
}

impl<'t> RowBatch<'t> {
    fn new(table: &'t CopiedTable, change: RowChange) -> Self {
        Self {
            table,
            change,
            rows: Vec::new(),
            bytes: 0,
        }
    }

    fn add(&mut self, row: DataRow) {
        self.bytes += row.iter().map(Datum::size).sum::<usize>();
        self.rows.push(row);
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// Writes the rows in a transaction, and empties the batch.
    async fn write(
        &mut self,
        target: &mut CopySession,
        run: &UnfinishedCopy,
    ) -> Result<(), CopyError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        run.transaction(target).await?;
        match self.change {
            RowChange::Insert => target.insert(self.table, &self.rows).await?,
            RowChange::Delete => target.delete(self.table, &self.rows).await?,
        }
        target.execute("COMMIT").await?;
        *self = Self::new(self.table, self.change);
        Ok(())
    }
}
