//! Reads and deletes of releases.

use entity::{circle, circle_label, circle_release};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, Order, QueryFilter, QueryResult, QuerySelect,
};

use super::{
    dto::{LabelledRelease, Release},
    team,
};
use crate::{
    circles,
    database::Connections,
    error::Error,
    page::{self, Page, PageRequest},
    rows, search,
    write::{Action, Change, Resource, UnitOfWork},
};

pub(super) fn change(action: Action, circle_row: &circle::Model, number: i64) -> Change {
    Change::new(action, Resource::Release)
        .name(format!("{}/{number}", circle_row.name))
        .circle(circle_row.id)
}

/// Rows of [`Release`]s, newest first, and the labels that point to them.
pub(super) async fn list(
    db: &Connections,
    circle: &str,
    page: PageRequest,
) -> Result<(Page<QueryResult>, Vec<(i64, String)>), Error> {
    let circle_row = circles::queries::get(db, circle).await?;
    let query = rows::select_only::<_, Release>(circle_release::Entity::find())
        .filter(circle_release::Column::CircleId.eq(circle_row.id));
    let number = circle_release::Column::Number;
    let page = page::fetch(db, query, number, Order::Desc, page).await?;
    let labels = labels_of(db, circle_row.id, rows::ids(&page.rows)?).await?;
    Ok((page, labels))
}

/// The labels that point to these releases, by the numbers of these, in the order of both.
pub(super) async fn labels_of(
    db: &impl ConnectionTrait,
    circle_id: i64,
    numbers: impl IntoIterator<Item = i64>,
) -> Result<Vec<(i64, String)>, Error> {
    use circle_label::Column;
    let among = search::among(db.get_database_backend(), Column::Release, numbers);
    let mut labels: Vec<(i64, String)> = circle_label::Entity::find()
        .select_only()
        .columns([Column::Release, Column::Name])
        .filter(Column::CircleId.eq(circle_id))
        .filter(among)
        .into_tuple()
        .all(db)
        .await?;
    labels.sort_unstable();
    Ok(labels)
}

/// A release with its team.
pub(super) async fn get(
    db: &impl ConnectionTrait,
    circle: &str,
    number: i64,
) -> Result<LabelledRelease, Error> {
    let row = get_row(db, circle, number).await?;
    let labels = labels_of(db, row.circle_id, [number]).await?;
    Ok(LabelledRelease {
        team: Some(team::team_of(&row.team)?),
        labels: labels.into_iter().map(|(_, name)| name).collect(),
        row,
    })
}

pub(super) async fn get_row(
    db: &impl ConnectionTrait,
    circle: &str,
    number: i64,
) -> Result<circle_release::Model, Error> {
    let circle_row = circles::queries::get(db, circle).await?;
    circle_release::Entity::find_by_id((circle_row.id, number))
        .one(db)
        .await?
        .ok_or_else(|| unknown(circle, number))
}

pub(super) fn unknown(circle: &str, number: i64) -> Error {
    Error::not_found("release", format!("{circle}/{number}"))
}

/// Deletes a release that no label points to. Moves of labels lock the circle, too.
pub(super) async fn delete(work: UnitOfWork, circle: &str, number: i64) -> Result<(), Error> {
    let db = work.db();
    let circle_row = circles::queries::get_for_update(db, circle).await?;
    let labels = labels_of(db, circle_row.id, [number]).await?;
    if let Some((_, label)) = labels.first() {
        let detail = format!("the label {label} points to release {circle}/{number}");
        return Err(Error::conflict("release_labelled", detail));
    }
    let key = (circle_row.id, number);
    let deleted = circle_release::Entity::delete_by_id(key).exec(db).await?;
    if deleted.rows_affected == 0 {
        return Err(unknown(circle, number));
    }
    work.record(change(Action::Delete, &circle_row, number));
    Ok(())
}
