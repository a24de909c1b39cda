//! Labels: reading, moving and deleting them, and their history. A move locks the circle, so that the moves of its labels have an
//! order.

use chrono::{DateTime, Utc};
use entity::{
    circle, circle_label, circle_label_move, circle_release,
    values::{Scope, now},
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel,
    Order, PaginatorTrait, QueryFilter, QueryOrder, QueryResult, QuerySelect, QueryTrait,
};

use super::dto::{LabelMove, LabelRow};
use crate::{
    circles::{self, labels::check},
    database::Connections,
    error::Error,
    page::{self, Page, PageRequest},
    revision::Precondition,
    rows,
    write::{Action, Change, Fields, Resource, UnitOfWork},
};

pub(super) use crate::circles::labels::check_all as check_names;

/// In which state a label may be moved.
#[derive(Clone, Debug, Default)]
pub(super) struct LabelPrecondition {
    if_match: Precondition,
    /// Whether there must be no such label.
    is_new: bool,
}

impl LabelPrecondition {
    /// Of an `If-None-Match`, only `*` means something to a change.
    pub(super) fn new(if_match: Precondition, if_none_match: Option<&str>) -> Result<Self, Error> {
        if if_none_match.is_some_and(|tags| tags.trim() != "*") {
            return Err(Error::invalid(
                "header/If-None-Match",
                "is not `*`, the only tag that means something to a change",
            ));
        }
        Ok(Self {
            if_match,
            is_new: if_none_match.is_some(),
        })
    }

    fn check(&self, before: Option<&circle_label::Model>) -> Result<(), Error> {
        match before {
            Some(_) if self.is_new => Err(Error::PreconditionFailed),
            Some(before) => self.if_match.check(before.id, before.revision),
            None => self.if_match.check_absent(),
        }
    }
}

/// Rows of an id and a [`LabelRow`].
pub(super) async fn list(
    db: &Connections,
    circle: &str,
    page: PageRequest,
) -> Result<Page<QueryResult>, Error> {
    let circle_row = circles::queries::get(db, circle).await?;
    let query = circle_label::Entity::find()
        .filter(circle_label::Column::CircleId.eq(circle_row.id))
        .select_only()
        .column(circle_label::Column::Id);
    let query = rows::also_select::<_, LabelRow<'_>>(query);
    page::fetch(db, query, circle_label::Column::Id, Order::Asc, page).await
}

pub(super) async fn get(
    db: &impl ConnectionTrait,
    circle: &str,
    name: &str,
) -> Result<circle_label::Model, Error> {
    let circle_row = circles::queries::get(db, circle).await?;
    let found = find(db, circle_row.id, name).await?;
    found.ok_or_else(|| unknown(circle, name))
}

async fn find(
    db: &impl ConnectionTrait,
    circle_id: i64,
    name: &str,
) -> Result<Option<circle_label::Model>, Error> {
    Ok(circle_label::Entity::find()
        .filter(circle_label::Column::CircleId.eq(circle_id))
        .filter(circle_label::Column::Name.eq(name))
        .one(db)
        .await?)
}

fn unknown(circle: &str, name: &str) -> Error {
    Error::not_found("label", format!("{circle}/{name}"))
}

/// Points a label to a release. With the label, and whether it is new.
pub(super) async fn replace(
    work: UnitOfWork,
    circle: &str,
    name: &str,
    release: i64,
    precondition: &LabelPrecondition,
) -> Result<(circle_label::Model, bool), Error> {
    check("path/label", name)?;
    let circle_row = circles::queries::get_for_update(work.db(), circle).await?;
    point(&work, &circle_row, name, release, precondition).await
}

/// Points a label of a circle, which is locked, to a release.
pub(super) async fn point(
    work: &UnitOfWork,
    circle_row: &circle::Model,
    name: &str,
    release: i64,
    precondition: &LabelPrecondition,
) -> Result<(circle_label::Model, bool), Error> {
    let db = work.db();
    let before = find(db, circle_row.id, name).await?;
    precondition.check(before.as_ref())?;
    let from = before.as_ref().map(|label| label.release);
    let (action, label) = match before {
        Some(label) if label.release == release => return Ok((label, false)),
        before => {
            protect(work, circle_row, name)?;
            let target = circle_label::ActiveModel {
                circle_id: Set(circle_row.id),
                name: Set(name.to_owned()),
                release: Set(release),
                digest: Set(digest_of(db, circle_row.id, release).await?),
                ..ActiveModelTrait::default()
            };
            if let Some(label) = before {
                (Action::Update, update(db, label, target).await?)
            } else {
                check_count(db, circle_row).await?;
                let inserted = insert(db, circle_row.id, name, target).await?;
                (Action::Create, inserted)
            }
        }
    };
    let moved = Move {
        from,
        to: Some(release),
        revision: label.revision,
    };
    moved.record(work, action, circle_row, &label).await?;
    Ok((label, action == Action::Create))
}

/// The labels of a circle, at most.
const MAX_LABELS: u64 = 100;

/// Checks that a circle, which is locked, may get one more.
async fn check_count(db: &impl ConnectionTrait, circle_row: &circle::Model) -> Result<(), Error> {
    let labels = circle_label::Entity::find()
        .filter(circle_label::Column::CircleId.eq(circle_row.id))
        .count(db)
        .await?;
    if labels >= MAX_LABELS {
        let detail = format!("circle {} has {MAX_LABELS} labels", circle_row.name);
        return Err(Error::conflict("too_many_labels", detail));
    }
    Ok(())
}

async fn digest_of(
    db: &impl ConnectionTrait,
    circle_id: i64,
    number: i64,
) -> Result<String, Error> {
    let digest: Option<String> = circle_release::Entity::find_by_id((circle_id, number))
        .select_only()
        .column(circle_release::Column::Digest)
        .into_tuple()
        .one(db)
        .await?;
    digest.ok_or_else(|| Error::invalid("#/release", "there is no release with this number"))
}

async fn update(
    db: &impl ConnectionTrait,
    label: circle_label::Model,
    target: circle_label::ActiveModel,
) -> Result<circle_label::Model, Error> {
    let moved = circle_label::ActiveModel {
        release: target.release,
        digest: target.digest,
        ..label.into_active_model()
    };
    Ok(moved.update(db).await?)
}

/// Revisions grow even if a label of this name was deleted a moment ago by a clock that was ahead.
async fn insert(
    db: &impl ConnectionTrait,
    circle_id: i64,
    name: &str,
    target: circle_label::ActiveModel,
) -> Result<circle_label::Model, Error> {
    let last: Option<i64> = circle_label_move::Entity::find()
        .select_only()
        .column(circle_label_move::Column::Revision)
        .filter(circle_label_move::Column::CircleId.eq(circle_id))
        .filter(circle_label_move::Column::Label.eq(name))
        .order_by_desc(circle_label_move::Column::Revision)
        .into_tuple()
        .one(db)
        .await?;
    let revision = revision_after(last.unwrap_or_default());
    let row = circle_label::ActiveModel {
        created_at: Set(time_of(revision)),
        updated_at: Set(time_of(revision)),
        revision: Set(revision),
        ..target
    };
    Ok(row.insert(db).await?)
}

fn revision_after(revision: i64) -> i64 {
    now().timestamp_micros().max(revision + 1)
}

fn time_of(revision: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(revision).unwrap_or_else(now)
}

pub(super) async fn delete(
    work: UnitOfWork,
    circle: &str,
    name: &str,
    precondition: &Precondition,
) -> Result<(), Error> {
    let db = work.db();
    let circle_row = circles::queries::get_for_update(db, circle).await?;
    let before = find(db, circle_row.id, name).await?;
    let before = before.ok_or_else(|| unknown(circle, name))?;
    precondition.check(before.id, before.revision)?;
    protect(&work, &circle_row, name)?;
    circle_label::Entity::delete_by_id(before.id)
        .exec(db)
        .await?;
    let moved = Move {
        from: Some(before.release),
        to: None,
        revision: revision_after(before.revision),
    };
    moved
        .record(&work, Action::Delete, &circle_row, &before)
        .await
}

fn protect(work: &UnitOfWork, circle_row: &circle::Model, name: &str) -> Result<(), Error> {
    if circle_row
        .protected_labels
        .0
        .iter()
        .any(|label| label == name)
    {
        work.actor().require(Scope::Publish)?;
    }
    Ok(())
}

struct Move {
    from: Option<i64>,
    to: Option<i64>,
    revision: i64,
}

impl Move {
    /// Adds the move to the history, and to the audit.
    async fn record(
        self,
        work: &UnitOfWork,
        action: Action,
        circle_row: &circle::Model,
        label: &circle_label::Model,
    ) -> Result<(), Error> {
        let actor = work.actor();
        let row = circle_label_move::ActiveModel {
            circle_id: Set(circle_row.id),
            label: Set(label.name.clone()),
            revision: Set(self.revision),
            at: Set(time_of(self.revision)),
            from_release: Set(self.from),
            to_release: Set(self.to),
            key_id: Set(actor.caller.key_id()),
            request_id: Set(actor.request_id.clone()),
        };
        circle_label_move::Entity::insert(row)
            .exec_without_returning(work.db())
            .await?;
        let change = Change::new(action, Resource::Label)
            .id(label.id)
            .name(format!("{}/{}", circle_row.name, label.name))
            .circle(circle_row.id);
        work.record(match self.to {
            Some(_) => change
                .revision(self.revision)
                .fields(Fields::from_iter(["release"])),
            None => change,
        });
        Ok(())
    }
}

/// Rows of a revision and a [`LabelMove`], newest first; from the one on that held at a time, if one is given.
pub(super) async fn history(
    db: &Connections,
    circle: &str,
    name: &str,
    at: Option<DateTime<Utc>>,
    page: PageRequest,
) -> Result<Page<QueryResult>, Error> {
    use circle_label_move::Column;
    let circle_row = circles::queries::get(db, circle).await?;
    let query = circle_label_move::Entity::find()
        .filter(Column::CircleId.eq(circle_row.id))
        .filter(Column::Label.eq(name))
        .apply_if(at, |query, at| {
            query.filter(Column::Revision.lte(at.timestamp_micros()))
        })
        .select_only()
        .column(Column::Revision);
    let query = rows::also_select::<_, LabelMove>(query);
    page::fetch(db, query, Column::Revision, Order::Desc, page).await
}
