//! Many rows in few statements.

use indicatif::ProgressBar;
use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel,
    Iterable, PrimaryKeyToColumn, sea_query::OnConflict,
};

/// Rows in one statement. A model has 40 columns, and SQLite accepts 32,766 values.
pub(crate) const CHUNK: usize = 500;

/// Inserts rows without an id, and returns them in any order.
pub(crate) async fn insert_all<A>(
    db: &impl ConnectionTrait,
    rows: Vec<A>,
    progress: &ProgressBar,
) -> Result<Vec<<A::Entity as EntityTrait>::Model>, DbErr>
where
    A: ActiveModelTrait + ActiveModelBehavior + Send,
    <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
{
    let mut inserted = Vec::with_capacity(rows.len());
    for chunk in stamped(db, rows, true).await?.chunks(CHUNK) {
        let insert = <A::Entity as EntityTrait>::insert_many(chunk.to_vec());
        inserted.extend(insert.exec_with_returning(db).await?);
        progress.inc(chunk.len() as u64);
    }
    Ok(inserted)
}

/// Sets the columns that any of the rows sets, in all of them. They were read, and are locked. Returns them in any order.
pub(crate) async fn update_all<A>(
    db: &impl ConnectionTrait,
    rows: Vec<A>,
    progress: &ProgressBar,
) -> Result<Vec<<A::Entity as EntityTrait>::Model>, DbErr>
where
    A: ActiveModelTrait + ActiveModelBehavior + Send,
    <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
{
    let rows = stamped(db, rows, false).await?;
    let key = <A::Entity as EntityTrait>::PrimaryKey::iter();
    let columns = <A::Entity as EntityTrait>::Column::iter();
    let set = columns.filter(|column| rows.iter().any(|row| row.get(*column).is_set()));
    let overwrite = OnConflict::columns(key.map(PrimaryKeyToColumn::into_column))
        .update_columns(set)
        .to_owned();
    let mut updated = Vec::with_capacity(rows.len());
    for chunk in rows.chunks(CHUNK) {
        let whole = chunk.iter().cloned().map(ActiveModelTrait::reset_all);
        let insert = <A::Entity as EntityTrait>::insert_many(whole).on_conflict(overwrite.clone());
        updated.extend(insert.exec_with_returning(db).await?);
        progress.inc(chunk.len() as u64);
    }
    Ok(updated)
}

/// A bulk statement does not call `before_save`.
async fn stamped<A: ActiveModelTrait + ActiveModelBehavior + Send>(
    db: &impl ConnectionTrait,
    rows: Vec<A>,
    insert: bool,
) -> Result<Vec<A>, DbErr> {
    let mut stamped = Vec::with_capacity(rows.len());
    for row in rows {
        stamped.push(row.before_save(db, insert).await?);
    }
    Ok(stamped)
}
