//! Reads and writes of circles. A deleted circle keeps its row and releases its name; no read here returns
//! it.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use entity::{
    circle,
    values::{CircleStatus, now},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{Set, Unchanged},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QueryResult, QuerySelect,
    QueryTrait, Select, Statement,
};

use super::dto::Circle;
use crate::{
    error::{Error, OnConstraint},
    page::Page,
    revision::{Precondition, etag},
    rows::{Columns, Field},
    search,
    sort::{self, Sortable, SortedRequest},
    write::{Action, Change, Fields, Resource, UnitOfWork},
};

fn change(action: Action, row: &circle::Model) -> Change {
    Change::new(action, Resource::Circle)
        .id(row.id)
        .name(&row.name)
        .revision(row.revision)
}

const SORTABLE: Sortable<circle::Column> = Sortable {
    id: circle::Column::Id,
    name: circle::Column::Name,
    created_at: circle::Column::CreatedAt,
    updated_at: circle::Column::UpdatedAt,
};

/// Which circles a list shows.
#[derive(Debug, Default)]
pub(crate) struct CircleFilter {
    pub(crate) status: Option<CircleStatus>,
    pub(crate) q: Option<String>,
    pub(crate) updated_since: Option<DateTime<Utc>>,
}

fn live() -> Select<circle::Entity> {
    circle::Entity::find().filter(search::is_true(circle::Column::IsActive))
}

/// Rows of [`Circle::FIELDS`]. Each list starts from a copy: to put a query together anew takes five
/// times as long.
static ROWS: LazyLock<Select<circle::Entity>> =
    LazyLock::new(|| Field::select(live(), &Circle::FIELDS));

/// Rows of [`Circle::FIELDS`].
pub(crate) async fn list(
    db: &impl ConnectionTrait,
    filter: CircleFilter,
    page: SortedRequest,
) -> Result<Page<QueryResult>, Error> {
    let CircleFilter {
        status,
        q,
        updated_since,
    } = filter;
    let backend = db.get_database_backend();
    let names = [circle::Column::Name, circle::Column::DisplayName];
    let query = ROWS
        .clone()
        .apply_if(status, |query, status| {
            query.filter(circle::Column::Status.eq(status))
        })
        .apply_if(q, |query, q| {
            query.filter(search::text_in(backend, &names, &q))
        })
        .apply_if(updated_since, |query, since| {
            query.filter(search::since(circle::Column::UpdatedAt, since))
        });
    sort::fetch_rows(db, query, &Circle::FIELDS, SORTABLE, page).await
}

pub(crate) async fn get(db: &impl ConnectionTrait, name: &str) -> Result<circle::Model, Error> {
    live()
        .filter(circle::Column::Name.eq(name))
        .one(db)
        .await?
        .ok_or_else(|| unknown(name))
}

/// Names a circle's roster as it is at a moment: the same state is the same roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) id: i64,
    pub(crate) revision: i64,
}

impl State {
    pub(crate) fn etag(self) -> String {
        etag(self.id, self.revision)
    }
}

/// The state of a circle's roster, by a look at the circle's row alone. It is all that a roster costs
/// that is sent again, so its text is not built anew for each.
pub(crate) async fn get_state(db: &impl ConnectionTrait, name: &str) -> Result<State, Error> {
    const TEXT: &str = "SELECT id, revision FROM circles WHERE name = $1 AND is_active";
    let backend = db.get_database_backend();
    let statement = Statement::from_sql_and_values(backend, TEXT, [name.into()]);
    let row = db.query_one_raw(statement).await?;
    let row = row.ok_or_else(|| unknown(name))?;
    let mut column = Columns::of(&row);
    Ok(State {
        id: column.next()?,
        revision: column.next()?,
    })
}

/// The circle, locked until the transaction ends.
pub(crate) async fn get_for_update(
    db: &impl ConnectionTrait,
    name: &str,
) -> Result<circle::Model, Error> {
    live()
        .filter(circle::Column::Name.eq(name))
        .lock_exclusive()
        .one(db)
        .await?
        .ok_or_else(|| unknown(name))
}

pub(crate) async fn create(
    work: UnitOfWork,
    row: circle::ActiveModel,
) -> Result<circle::Model, Error> {
    let circle_row = row.insert(work.db()).await.on_unique(name_taken)?;
    work.record(change(Action::Create, &circle_row));
    Ok(circle_row)
}

/// Sets the columns that `changes` sets.
pub(crate) async fn update(
    work: UnitOfWork,
    name: &str,
    precondition: &Precondition,
    changes: circle::ActiveModel,
) -> Result<circle::Model, Error> {
    let before = get_for_update(work.db(), name).await?;
    precondition.check(before.id, before.revision)?;
    save(&work, Action::Update, before, changes).await
}

/// Sets the status of a circle, unless it has that status.
pub(crate) async fn set_status(
    work: UnitOfWork,
    name: &str,
    status: CircleStatus,
) -> Result<circle::Model, Error> {
    let before = get_for_update(work.db(), name).await?;
    let mut changes = <circle::ActiveModel as ActiveModelTrait>::default();
    if before.status != status {
        changes.status = Set(status);
    }
    let action = match status {
        CircleStatus::Running => Action::Start,
        CircleStatus::Stopped => Action::Stop,
        CircleStatus::Paused => Action::Update,
    };
    save(&work, action, before, changes).await
}

/// Changes a locked circle, if `changes` sets anything.
async fn save(
    work: &UnitOfWork,
    action: Action,
    before: circle::Model,
    mut changes: circle::ActiveModel,
) -> Result<circle::Model, Error> {
    if !changes.is_changed() {
        return Ok(before);
    }
    if let Set(status) = changes.status {
        record_transition(&mut changes, before.status, status);
    }
    let fields = Fields::set_in(&changes);
    changes.id = Unchanged(before.id);
    changes.revision = Unchanged(before.revision);
    let after = changes.update(work.db()).await.on_unique(name_taken)?;
    work.record(change(action, &after).fields(fields));
    Ok(after)
}

/// Sets the time of a start or stop, which is also the time of the change.
fn record_transition(changes: &mut circle::ActiveModel, before: CircleStatus, after: CircleStatus) {
    use CircleStatus::Stopped;
    let now = now();
    match (before, after) {
        (Stopped, Stopped) => {}
        (Stopped, _) => changes.started_at = Set(Some(now)),
        (_, Stopped) => changes.stopped_at = Set(Some(now)),
        _ => {}
    }
    changes.updated_at = Set(now);
}

/// Deletes a circle: stops it and releases its name. Its memberships stay as they are, as the record of
/// its members.
pub(crate) async fn delete(
    work: UnitOfWork,
    name: &str,
    precondition: &Precondition,
) -> Result<(), Error> {
    let before = get_for_update(work.db(), name).await?;
    precondition.check(before.id, before.revision)?;
    let deleted = circle::ActiveModel {
        is_active: Set(false),
        status: Set(CircleStatus::Stopped),
        ..ActiveModelTrait::default()
    };
    save(&work, Action::Delete, before, deleted).await?;
    Ok(())
}

/// Restores the most recently deleted circle with this name.
pub(crate) async fn restore(work: UnitOfWork, name: &str) -> Result<circle::Model, Error> {
    let db = work.db();
    let Some(before) = last_deleted_for_update(db, name).await? else {
        get(db, name).await?;
        return Err(Error::not_deleted("circle", name));
    };
    let restored = circle::ActiveModel {
        is_active: Set(true),
        ..ActiveModelTrait::default()
    };
    save(&work, Action::Restore, before, restored).await
}

/// A deleted circle does not change, so its last change is its deletion.
async fn last_deleted_for_update(
    db: &impl ConnectionTrait,
    name: &str,
) -> Result<Option<circle::Model>, Error> {
    Ok(circle::Entity::find()
        .filter(circle::Column::Name.eq(name))
        .filter(circle::Column::IsActive.eq(false))
        .order_by_desc(circle::Column::UpdatedAt)
        .order_by_desc(circle::Column::Id)
        .lock_exclusive()
        .one(db)
        .await?)
}

pub(crate) fn unknown(name: &str) -> Error {
    Error::not_found("circle", name)
}

fn name_taken() -> Error {
    Error::conflict("circle_name_taken", "a circle with this name exists")
}
