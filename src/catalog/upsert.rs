//! Many rows at once: those that are new and those that changed, in few statements.

use indicatif::{ProgressBar, ProgressStyle};
use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait, DatabaseTransaction, DbErr, EntityTrait,
    IntoActiveModel, Iterable, PrimaryKeyToColumn, sea_query::OnConflict,
};

use super::summary::Tally;

/// Rows in one statement. A model has 20 columns and SQLite takes 32,766 values.
const CHUNK: usize = 500;

/// Rows to write.
pub(super) struct Changes<A> {
    pub(super) added: Vec<A>,
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
{
    /// Notes what is to become of a row; `touch` marks one that is changed.
    pub(super) fn compare<M>(&mut self, before: &M, mut after: M, touch: impl FnOnce(&mut M))
    where
        M: PartialEq + IntoActiveModel<A>,
    {
        if *before == after {
            self.unchanged += 1;
        } else {
            touch(&mut after);
            self.changed.push(after.into_active_model().reset_all());
        }
    }

    pub(super) async fn write(self, db: &DatabaseTransaction, what: &str) -> Result<Tally, DbErr> {
        let tally = Tally {
            added: self.added.len(),
            changed: self.changed.len(),
            unchanged: self.unchanged,
        };
        let progress = progress(tally.writes(), what);
        save(db, self.added, &progress).await?;
        save(db, self.changed, &progress).await?;
        progress.finish_and_clear();
        Ok(tally)
    }
}

/// A row that is yet to get its id.
pub(super) fn as_new<M, A>(row: M) -> A
where
    M: IntoActiveModel<A>,
    A: ActiveModelTrait,
{
    let mut row = row.into_active_model().reset_all();
    for key in <<A as ActiveModelTrait>::Entity as EntityTrait>::PrimaryKey::iter() {
        row.not_set(key.into_column());
    }
    row
}

/// Inserts rows, or overwrites those that bring their id along, in as few statements as the
/// databases allow.
pub(super) async fn save<A>(
    db: &DatabaseTransaction,
    rows: Vec<A>,
    progress: &ProgressBar,
) -> Result<(), DbErr>
where
    A: ActiveModelTrait + ActiveModelBehavior + Send,
{
    let key = || {
        <<A as ActiveModelTrait>::Entity as EntityTrait>::PrimaryKey::iter()
            .map(PrimaryKeyToColumn::into_column)
    };
    let columns = || <<A as ActiveModelTrait>::Entity as EntityTrait>::Column::iter();
    for chunk in rows.chunks(CHUNK) {
        let overwrite = OnConflict::columns(key())
            .update_columns(columns())
            .to_owned();
        <A as ActiveModelTrait>::Entity::insert_many(chunk.to_vec())
            .on_conflict(overwrite)
            .exec_without_returning(db)
            .await?;
        progress.inc(u64::try_from(chunk.len()).unwrap_or_default());
    }
    Ok(())
}

/// A bar on a terminal, nothing anywhere else.
fn progress(rows: usize, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:10} {wide_bar} {pos}/{len}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(u64::try_from(rows).unwrap_or_default())
        .with_style(style)
        .with_message(what.to_owned())
}
