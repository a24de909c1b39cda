//! Writing many rows in few statements: new ones and changed ones.

use indicatif::ProgressBar;
use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait, DatabaseTransaction, DbErr, EntityTrait, Iterable,
    PrimaryKeyToColumn, sea_query::OnConflict,
};

use super::summary::Tally;
use crate::progress;

/// Rows in one statement. A model has 20 columns, and SQLite accepts 32,766 values.
const CHUNK: usize = 500;

/// Rows to write.
pub(super) struct Changes<A> {
    added: Vec<A>,
    changed: Vec<A>,
    unchanged: usize,
}

impl<A> Default for Changes<A> {
    fn default() -> Self {
        Self {
            added: Vec::new(),
            changed: Vec::new(),
            unchanged: 0,
        }
    }
}

impl<A: ActiveModelTrait + ActiveModelBehavior + Send> Changes<A> {
    /// Adds a row without an id.
    pub(super) fn add(&mut self, row: A) {
        self.added.push(row);
    }

    /// Updates a row that was read, if any of its columns is changed.
    pub(super) fn update(&mut self, row: A) {
        if row.is_changed() {
            self.changed.push(row);
        } else {
            self.unchanged += 1;
        }
    }

    /// Counts a row that stays as it is.
    pub(super) fn keep(&mut self) {
        self.unchanged += 1;
    }

    /// Writes the rows. A dry run only counts them.
    pub(super) async fn write(
        self,
        db: &DatabaseTransaction,
        what: &str,
        dry_run: bool,
    ) -> Result<Tally, DbErr> {
        let tally = Tally {
            added: self.added.len(),
            changed: self.changed.len(),
            unchanged: self.unchanged,
        };
        if dry_run {
            return Ok(tally);
        }
        let rows = u64::try_from(tally.writes()).unwrap_or_default();
        let progress = progress::bar(rows, what);
        save(db, self.added, true, &progress).await?;
        save(db, self.changed, false, &progress).await?;
        progress.finish_and_clear();
        Ok(tally)
    }
}

/// Inserts rows, or overwrites those that have an id.
async fn save<A: ActiveModelTrait + ActiveModelBehavior + Send>(
    db: &DatabaseTransaction,
    rows: Vec<A>,
    insert: bool,
    progress: &ProgressBar,
) -> Result<(), DbErr> {
    // A bulk statement does not call it.
    let mut stamped = Vec::with_capacity(rows.len());
    for row in rows {
        stamped.push(row.before_save(db, insert).await?.reset_all());
    }
    let key = <<A as ActiveModelTrait>::Entity as EntityTrait>::PrimaryKey::iter();
    let columns = <<A as ActiveModelTrait>::Entity as EntityTrait>::Column::iter();
    let overwrite = OnConflict::columns(key.map(PrimaryKeyToColumn::into_column))
        .update_columns(columns)
        .to_owned();
    for chunk in stamped.chunks(CHUNK) {
        <A as ActiveModelTrait>::Entity::insert_many(chunk.to_vec())
            .on_conflict(overwrite.clone())
            .exec_without_returning(db)
            .await?;
        progress.inc(u64::try_from(chunk.len()).unwrap_or_default());
    }
    Ok(())
}
