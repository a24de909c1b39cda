//! Reads and writes of circles. A deleted circle keeps its row and frees its name; no read here returns
//! it.

use std::sync::LazyLock;

use entity::{
    circle,
    values::{CircleStatus, Scope, now},
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, Order,
    QueryFilter, QueryOrder, QueryResult, QuerySelect, QueryTrait, Select, sea_query::ExprTrait,
};

use super::{
    dto::{Circle, CircleName, MAX_INSTRUCTIONS_LENGTH},
    labels,
};
use crate::{
    database::Connections,
    error::{Error, OnConstraint},
    page::{self, Page, PageRequest},
    revision::Precondition,
    rows, search,
    sort::{Sortable, SortedList, SortedRequest},
    write::{self, Action, Actor, Change, Resource, UnitOfWork},
};

pub(crate) fn change(action: Action, row: &circle::Model) -> Change {
    Change::new(action, Resource::Circle)
        .id(row.id)
        .name(&row.name)
        .revision(row.revision)
        .circle(row.id)
}

const SORTABLE: Sortable<circle::Column> = Sortable {
    id: circle::Column::Id,
    name: circle::Column::Name,
    created_at: circle::Column::CreatedAt,
    updated_at: circle::Column::UpdatedAt,
};

/// Which circles a list shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct CircleFilter {
    pub(crate) status: Option<CircleStatus>,
    pub(crate) q: Option<String>,
    pub(crate) include_deleted: bool,
}

static LIST: LazyLock<SortedList<circle::Entity>> =
    LazyLock::new(|| SortedList::new::<Circle>(circle::Entity::find(), SORTABLE));

/// Rows of [`Circle`]s.
pub(crate) async fn list(
    db: &Connections,
    filter: CircleFilter,
    page: SortedRequest,
) -> Result<Page<QueryResult>, Error> {
    let CircleFilter {
        status,
        q,
        include_deleted,
    } = filter;
    let backend = db.get_database_backend();
    let names = [circle::Column::Name, circle::Column::DisplayName];
    let shown = (!include_deleted).then(circle::Entity::not_deleted);
    let query = LIST
        .query()
        .apply_if(shown, QueryFilter::filter)
        .apply_if(status, |query, status| {
            query.filter(circle::Column::Status.eq(status))
        })
        .apply_if(q, |query, q| {
            query.filter(search::text_in(backend, &names, &q))
        });
    LIST.fetch(db, query, page).await
}

/// Rows of [`CircleName`]s.
pub(crate) async fn names(db: &Connections, page: PageRequest) -> Result<Page<QueryResult>, Error> {
    let query = rows::select_only::<_, CircleName>(circle::Entity::find_not_deleted());
    page::fetch(db, query, circle::Column::Id, Order::Asc, page).await
}

/// Circles that are not deleted by a name, which is the parameter of a text that is built once.
pub(crate) fn by_name() -> Select<circle::Entity> {
    let name = circle::Column::Name.into_expr();
    circle::Entity::find_not_deleted().filter(name.eq(rows::parameter()))
}

pub(crate) async fn get(db: &impl ConnectionTrait, name: &str) -> Result<circle::Model, Error> {
    circle::Entity::find_not_deleted()
        .filter(circle::Column::Name.eq(name))
        .one(db)
        .await?
        .ok_or_else(|| unknown(name))
}

/// The circle, locked until the transaction ends.
pub(crate) async fn get_for_update(
    db: &impl ConnectionTrait,
    name: &str,
) -> Result<circle::Model, Error> {
    circle::Entity::find_not_deleted()
        .filter(circle::Column::Name.eq(name))
        .lock_exclusive()
        .one(db)
        .await?
        .ok_or_else(|| unknown(name))
}

/// The circle with this id, locked until the transaction ends, if it is not deleted.
pub(crate) async fn find_for_update(
    db: &impl ConnectionTrait,
    id: i64,
) -> Result<Option<circle::Model>, DbErr> {
    circle::Entity::find_not_deleted()
        .filter(circle::Column::Id.eq(id))
        .lock_exclusive()
        .one(db)
        .await
}

/// Instructions become part of prompts, so they have the bound of prompts, unlike what a runtime interprets.
pub(crate) fn check_settings(row: &circle::ActiveModel) -> Result<(), Error> {
    let Set(settings) = &row.settings else {
        return Ok(());
    };
    let instructions = settings.string_member("instructions");
    let length = instructions.map_or(0, |text| text.chars().count());
    if length > MAX_INSTRUCTIONS_LENGTH {
        let detail = format!("may have at most {MAX_INSTRUCTIONS_LENGTH} characters");
        return Err(Error::invalid("#/settings/instructions", detail));
    }
    Ok(())
}

/// Labels that only some may move are worth nothing if others could say which these are, or put another circle in the
/// place of this one.
pub(crate) fn check_protection(
    actor: &Actor,
    before: Option<&circle::Model>,
    changes: &circle::ActiveModel,
) -> Result<(), Error> {
    let protected = before.map_or(&[][..], |before| &before.protected_labels.0);
    let is_list_set = match &changes.protected_labels {
        Set(labels) => {
            labels::check_all("#/protected_labels", &labels.0)?;
            labels.0 != protected
        }
        _ => false,
    };
    let is_renamed = |before: &circle::Model| {
        let name = changes.name.try_as_ref();
        name.is_some_and(|name| *name != before.name)
    };
    let is_lost = changes.is_active == Set(false) || before.is_some_and(is_renamed);
    if is_list_set || is_lost && !protected.is_empty() {
        actor.require(Scope::Publish)?;
    }
    Ok(())
}

pub(crate) async fn create(
    work: UnitOfWork,
    row: circle::ActiveModel,
) -> Result<circle::Model, Error> {
    check_settings(&row)?;
    check_protection(work.actor(), None, &row)?;
    let saved = row.insert(work.db()).await;
    let circle_row = saved.on_unique(NAME_INDEX, name_taken)?;
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
    check_settings(&changes)?;
    let before = get_for_update(work.db(), name).await?;
    precondition.check(before.id, before.revision)?;
    check_protection(work.actor(), Some(&before), &changes)?;
    save(&work, Action::Update, before, changes).await
}

/// Sets the status of a circle.
pub(crate) async fn set_status(
    work: UnitOfWork,
    name: &str,
    precondition: &Precondition,
    status: CircleStatus,
) -> Result<circle::Model, Error> {
    let before = get_for_update(work.db(), name).await?;
    precondition.check(before.id, before.revision)?;
    let changes = circle::ActiveModel {
        status: Set(status),
        ..ActiveModelTrait::default()
    };
    let action = match status {
        CircleStatus::Running => Action::Start,
        CircleStatus::Stopped => Action::Stop,
        CircleStatus::Paused => Action::Update,
    };
    save(&work, action, before, changes).await
}

/// Changes a locked circle, if `changes` sets anything to another value.
async fn save(
    work: &UnitOfWork,
    action: Action,
    before: circle::Model,
    mut changes: circle::ActiveModel,
) -> Result<circle::Model, Error> {
    if let Set(status) = changes.status
        && status != before.status
    {
        record_transition(&mut changes, before.status, status);
    }
    let saved = write::save_changes(work.db(), &before, &changes).await;
    let Some((after, fields)) = saved.on_unique(NAME_INDEX, name_taken)? else {
        return Ok(before);
    };
    work.record(change(action, &after).fields(fields));
    Ok(after)
}

/// Sets the time of a start or stop, which is also the time of the change.
fn record_transition(changes: &mut circle::ActiveModel, before: CircleStatus, after: CircleStatus) {
    use CircleStatus::Stopped;
    let now = now();
    match (before, after) {
        (Stopped, _) => changes.started_at = Set(Some(now)),
        (_, Stopped) => changes.stopped_at = Set(Some(now)),
        _ => {}
    }
    changes.updated_at = Set(now);
}

/// Deletes a circle: stops it and frees its name. Its memberships stay as they are, as the record of
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
    check_protection(work.actor(), Some(&before), &deleted)?;
    save(&work, Action::Delete, before, deleted).await?;
    Ok(())
}

/// Restores the most recently deleted circle with this name.
pub(crate) async fn restore(
    work: UnitOfWork,
    name: &str,
    precondition: &Precondition,
) -> Result<circle::Model, Error> {
    let db = work.db();
    let Some(before) = last_deleted_for_update(db, name).await? else {
        get(db, name).await?;
        return Err(Error::not_deleted("circle", name));
    };
    precondition.check(before.id, before.revision)?;
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

const NAME_INDEX: &str = "circles_name_unique";

fn name_taken() -> Error {
    Error::conflict("circle_name_taken", "a circle with this name exists")
}
