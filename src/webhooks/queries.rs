//! Reads and writes of webhooks.

use chrono::TimeDelta;
use entity::{
    circle, values::now, webhook, webhook_attempt, webhook_delivery, webhook_values::PauseReason,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel,
    Order, PaginatorTrait, QueryFilter, QueryResult, QuerySelect, sea_query::LockType,
};

use super::{
    dto::{Webhook, WebhookAttempt},
    signature,
};
use crate::{
    changes::{self, After},
    database::Connections,
    egress::EgressPolicy,
    error::Error,
    page::{self, Page, PageRequest},
    providers::base_url,
    revision::Precondition,
    rows,
    write::{self, Action, Change, Fields, Resource, UnitOfWork},
};

/// Every instance looks at all of them once a second.
const MAX_WEBHOOKS: u64 = 200;

fn change(action: Action, row: &webhook::Model) -> Change {
    Change::new(action, Resource::Webhook)
        .id(row.id)
        .name(&row.name)
}

fn record_update(work: &UnitOfWork, row: &webhook::Model, fields: Fields) {
    work.record(
        change(Action::Update, row)
            .revision(row.revision)
            .fields(fields),
    );
}

/// Rows of [`Webhook`]s.
pub(super) async fn list(db: &Connections, page: PageRequest) -> Result<Page<QueryResult>, Error> {
    let query = rows::select_only::<_, Webhook>(webhook::Entity::find());
    page::fetch(db, query, webhook::Column::Id, Order::Asc, page).await
}

/// Rows of [`WebhookAttempt`]s, the newest first.
pub(super) async fn list_attempts(
    db: &Connections,
    id: i64,
    page: PageRequest,
) -> Result<Page<QueryResult>, Error> {
    let of_webhook =
        webhook_attempt::Entity::find().filter(webhook_attempt::Column::WebhookId.eq(id));
    let query = rows::select_only::<_, WebhookAttempt>(of_webhook);
    let page = page::fetch(db, query, webhook_attempt::Column::Id, Order::Desc, page).await?;
    if page.rows.is_empty() {
        get(db, id).await?;
    }
    Ok(page)
}

pub(super) async fn get(db: &impl ConnectionTrait, id: i64) -> Result<webhook::Model, Error> {
    webhook::Entity::find_by_id(id)
        .one(db)
        .await?
        .ok_or_else(|| unknown(id))
}

/// The webhook, locked, in a state that the precondition allows. Attempts are recorded meanwhile, unless it is deleted.
async fn get_for_update(
    work: &UnitOfWork,
    id: i64,
    precondition: &Precondition,
) -> Result<webhook::Model, Error> {
    get_locked(work, id, precondition, LockType::NoKeyUpdate).await
}

async fn get_locked(
    work: &UnitOfWork,
    id: i64,
    precondition: &Precondition,
    lock: LockType,
) -> Result<webhook::Model, Error> {
    let row = webhook::Entity::find_by_id(id)
        .lock(lock)
        .one(work.db())
        .await?
        .ok_or_else(|| unknown(id))?;
    precondition.check(id, row.revision)?;
    Ok(row)
}

/// Creates a webhook. It receives what is committed from now on.
pub(super) async fn create(
    work: UnitOfWork,
    policy: &EgressPolicy,
    new: webhook::ActiveModel,
) -> Result<webhook::Model, Error> {
    let db = work.db();
    if webhook::Entity::find().count(db).await? >= MAX_WEBHOOKS {
        let detail = format!("there are {MAX_WEBHOOKS} webhooks");
        return Err(Error::conflict("too_many_webhooks", detail));
    }
    let row = webhook::ActiveModel {
        secret: Set(signature::new_secret()?),
        ..new
    };
    let row = row.insert(db).await?;
    check(db, policy, &row).await?;
    let cursor = changes::find_place(db, After::Latest).await?;
    let delivery = webhook_delivery::ActiveModel {
        webhook_id: Set(row.id),
        cursor: Set(cursor.encode()),
        ..Default::default()
    };
    webhook_delivery::Entity::insert(delivery)
        .exec_without_returning(db)
        .await?;
    work.record(change(Action::Create, &row).revision(row.revision));
    Ok(row)
}

/// Sets the columns that `changes` sets, and checks the row that results.
pub(super) async fn update(
    work: UnitOfWork,
    id: i64,
    precondition: &Precondition,
    policy: &EgressPolicy,
    changes: webhook::ActiveModel,
) -> Result<webhook::Model, Error> {
    let before = get_for_update(&work, id, precondition).await?;
    let saved = write::save_changes(work.db(), &before, &changes).await?;
    let Some((row, fields)) = saved else {
        return Ok(before);
    };
    if changes.url.is_set() || changes.circle_id.is_set() {
        check(work.db(), policy, &row).await?;
    }
    record_update(&work, &row, fields);
    Ok(row)
}

/// Checks a row as it was just written.
async fn check(
    db: &impl ConnectionTrait,
    policy: &EgressPolicy,
    row: &webhook::Model,
) -> Result<(), Error> {
    let url = base_url::parse(&row.url).map_err(|detail| Error::invalid("#/url", detail))?;
    policy
        .check(&url)
        .map_err(|cause| Error::invalid("#/url", cause.to_string()))?;
    if let Some(id) = row.circle_id
        && circle::Entity::find_by_id(id).one(db).await?.is_none()
    {
        return Err(Error::invalid("#/circle_id", "there is no such circle"));
    }
    Ok(())
}

/// Gives a webhook a new secret. Messages are signed with the one before, too, for so long.
pub(super) async fn rotate_secret(
    work: UnitOfWork,
    id: i64,
    precondition: &Precondition,
    overlap: TimeDelta,
) -> Result<webhook::Model, Error> {
    let before = get_for_update(&work, id, precondition).await?;
    let previous = (overlap > TimeDelta::zero()).then(|| before.secret.clone());
    let row = webhook::ActiveModel {
        secret: Set(signature::new_secret()?),
        previous_secret_until: Set(previous.is_some().then(|| now() + overlap)),
        previous_secret: Set(previous),
        ..before.into_active_model()
    };
    let row = row.update(work.db()).await?;
    record_update(&work, &row, ["secret"].into_iter().collect());
    Ok(row)
}

/// Ends a pause, and the wait for the next attempt. With `after`, the delivery continues from there. The new revision tells
/// the instance that delivers.
pub(super) async fn resume(
    work: UnitOfWork,
    id: i64,
    precondition: &Precondition,
    after: Option<After>,
) -> Result<webhook::Model, Error> {
    let before = get_for_update(&work, id, precondition).await?;
    let mut fields = Vec::new();
    if before.paused_at.is_some() {
        fields.extend(["paused_at", "pause_reason"]);
    }
    let rested = webhook_delivery::ActiveModel {
        failing_since: Set(None),
        failures: Set(0),
        next_attempt_at: Set(None),
        ..Default::default()
    };
    let of_webhook =
        webhook_delivery::Entity::update_many().filter(webhook_delivery::Column::WebhookId.eq(id));
    let failing = of_webhook
        .clone()
        .set(rested)
        .filter(webhook_delivery::Column::Failures.gt(0));
    if failing.exec(work.db()).await?.rows_affected > 0 {
        fields.push("next_attempt_at");
    }
    if let Some(after) = after {
        let place = changes::find_place(work.db(), after).await?;
        let moved = webhook_delivery::ActiveModel {
            cursor: Set(place.encode()),
            ..Default::default()
        };
        of_webhook.set(moved).exec(work.db()).await?;
        fields.push("cursor");
    }
    if fields.is_empty() {
        return Ok(before);
    }
    let row = webhook::ActiveModel {
        paused_at: Set(None),
        pause_reason: Set(None),
        ..before.into_active_model()
    };
    let row = row.update(work.db()).await?;
    record_update(&work, &row, fields.into_iter().collect());
    Ok(row)
}

/// Pauses a webhook for this reason, if it is delivered.
pub(super) async fn pause(work: UnitOfWork, id: i64, reason: PauseReason) -> Result<(), Error> {
    let Ok(before) = get_for_update(&work, id, &Precondition::Any).await else {
        return Ok(());
    };
    if before.paused_at.is_some() || !before.is_enabled {
        return Ok(());
    }
    let row = webhook::ActiveModel {
        paused_at: Set(Some(now())),
        pause_reason: Set(Some(reason)),
        ..before.into_active_model()
    };
    let row = row.update(work.db()).await?;
    let fields = ["paused_at", "pause_reason"].into_iter().collect();
    record_update(&work, &row, fields);
    Ok(())
}

/// Deletes a webhook with its attempts.
pub(super) async fn delete(
    work: UnitOfWork,
    id: i64,
    precondition: &Precondition,
) -> Result<(), Error> {
    let row = get_locked(&work, id, precondition, LockType::Update).await?;
    webhook::Entity::delete_by_id(id).exec(work.db()).await?;
    work.record(change(Action::Delete, &row));
    Ok(())
}

fn unknown(id: i64) -> Error {
    Error::not_found("webhook", id.to_string())
}
