//! Publishing: what a circle is becomes a release.
//!
//! The circle is read in a snapshot before the transaction that writes. So publishers wait for each other only while
//! one inserts its row, and no change of an agent or the catalogue makes one try again.

use entity::{circle, circle_release, values::now};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
    sea_query::Expr,
};
use tokio::task::spawn_blocking;

use super::{
    dto::{LabelledRelease, ReleaseCreate},
    labels::{self, LabelPrecondition},
    queries,
    team::{self, Packed},
};
use crate::{
    circles,
    database::Database,
    error::Error,
    handles::released::damaged,
    write::{Action, UnitOfWork},
};

/// What a circle is now, ready to be stored.
pub(super) async fn pack(database: &Database, circle: &str) -> Result<Packed, Error> {
    let frozen = team::freeze(database, circle).await?;
    spawn_blocking(move || frozen.pack())
        .await
        .map_err(damaged)?
}

/// Publishes a release, unless the circle has one of the same digest, and moves labels to it. With the release, and
/// whether it is new.
pub(super) async fn publish(
    work: UnitOfWork,
    name: &str,
    packed: Packed,
    new: ReleaseCreate,
) -> Result<(LabelledRelease, bool), Error> {
    labels::check_names("#/labels", &new.labels.0)?;
    let db = work.db();
    let circle_row = circles::queries::find_for_update(db, packed.circle_id).await?;
    let circle_row = circle_row.ok_or_else(|| circles::queries::unknown(name))?;
    let published = find(db, circle_row.id, &packed.digest).await?;
    let (row, is_new) = match published {
        Some(row) => (row, false),
        None => (insert(&work, &circle_row, packed, new.message).await?, true),
    };
    for label in &new.labels.0 {
        let any = LabelPrecondition::default();
        labels::point(&work, &circle_row, label, row.number, &any).await?;
    }
    let labels = queries::labels_of(db, circle_row.id, [row.number]).await?;
    let release = LabelledRelease {
        labels: labels.into_iter().map(|(_, name)| name).collect(),
        row,
        team: None,
    };
    Ok((release, is_new))
}

async fn find(
    db: &impl ConnectionTrait,
    circle_id: i64,
    digest: &str,
) -> Result<Option<circle_release::Model>, Error> {
    Ok(circle_release::Entity::find()
        .filter(circle_release::Column::CircleId.eq(circle_id))
        .filter(circle_release::Column::Digest.eq(digest))
        .one(db)
        .await?)
}

/// Inserts a release of a circle, which is locked.
async fn insert(
    work: &UnitOfWork,
    circle_row: &circle::Model,
    packed: Packed,
    message: Option<String>,
) -> Result<circle_release::Model, Error> {
    let number = circle_row.last_release + 1;
    let row = circle_release::ActiveModel {
        circle_id: Set(circle_row.id),
        number: Set(number),
        digest: Set(packed.digest),
        message: Set(message),
        created_at: Set(now()),
        key_id: Set(work.actor().caller.key_id()),
        handles: Set(packed.handles),
        team: Set(packed.team),
    };
    let row = row.insert(work.db()).await?;
    // Not a change of the circle: its revision stays.
    circle::Entity::update_many()
        .col_expr(circle::Column::LastRelease, Expr::value(number))
        .filter(circle::Column::Id.eq(circle_row.id))
        .exec(work.db())
        .await?;
    work.record(queries::change(Action::Create, circle_row, number));
    Ok(row)
}
