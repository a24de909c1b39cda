//! Writing many rows in few statements: new ones and changed ones.

use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel,
};

use super::summary::Tally;
use crate::{progress, write::bulk};

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

impl<A> Changes<A>
where
    A: ActiveModelTrait + ActiveModelBehavior + Send,
    <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
{
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
        bulk::insert_all(db, self.added, &progress).await?;
        bulk::update_all(db, self.changed, &progress).await?;
        progress.finish_and_clear();
        Ok(tally)
    }
}
