//! How far the delivery of a webhook is, and the attempts that were made.

use chrono::{DateTime, Utc};
use entity::{webhook, webhook_attempt, webhook_delivery};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, Statement,
};

use super::{message::WebhookMessage, sender::Attempt};
use crate::{
    changes::ChangeCursor,
    database::{Connections, Database},
    error::Error,
};

/// Attempts that are kept of a webhook.
pub(super) const KEPT_ATTEMPTS: u64 = 100;

/// A webhook, and how far it is.
pub(super) async fn load(
    db: &Connections,
    webhook_id: i64,
) -> Result<Option<(webhook::Model, webhook_delivery::Model)>, Error> {
    let found = webhook::Entity::find_by_id(webhook_id)
        .find_also_related(webhook_delivery::Entity)
        .one(db)
        .await?;
    Ok(found.and_then(|(webhook_row, delivery)| Some((webhook_row, delivery?))))
}

/// How attempts have gone since the last one that succeeded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub(super) failing_since: Option<DateTime<Utc>>,
    pub(super) failures: i64,
    pub(super) next_attempt_at: Option<DateTime<Utc>>,
}

/// The row of an attempt.
pub(super) fn attempt_row(
    webhook_id: i64,
    message: &WebhookMessage,
    attempt: &Attempt,
) -> webhook_attempt::ActiveModel {
    webhook_attempt::ActiveModel {
        id: NotSet,
        webhook_id: Set(webhook_id),
        at: Set(attempt.at),
        message_id: Set(message.id.clone()),
        event: Set(message.event.clone()),
        change: Set(message.change.map(ChangeCursor::encode)),
        status: Set(attempt.status.map(Into::into)),
        duration_ms: Set(i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX)),
        error: Set(attempt.error.clone()),
    }
}

/// Who records, and from where to where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'s> {
    pub(super) webhook_id: i64,
    pub(super) holder: &'s str,
    /// The cursor that is recorded now.
    pub(super) from: &'s str,
    pub(super) to: &'s str,
}

/// Records what was done, if the holder still has the lease, and the cursor was not moved meanwhile. Otherwise nothing is
/// recorded, and the result is false.
pub(super) async fn record(
    database: &Database,
    step: Step<'_>,
    progress: &Progress,
    attempts: &[webhook_attempt::ActiveModel],
) -> Result<bool, Error> {
    let transaction = database.begin_write().await?;
    // The attempts come first: their foreign key locks the webhook, which every change of it locks first, too.
    let inserted = insert_attempts(&*transaction, step.webhook_id, attempts).await;
    let moved = match inserted.map_err(Error::from) {
        Ok(()) => move_cursor(&*transaction, step, progress).await?,
        // The webhook was deleted.
        Err(Error::ForeignKey(_)) => false,
        Err(error) => return Err(error),
    };
    if moved {
        transaction.commit().await?;
    } else {
        transaction.rollback().await?;
    }
    Ok(moved)
}

async fn move_cursor(
    db: &impl ConnectionTrait,
    step: Step<'_>,
    progress: &Progress,
) -> Result<bool, DbErr> {
    let moved = webhook_delivery::Entity::update_many()
        .set(webhook_delivery::ActiveModel {
            cursor: Set(step.to.to_owned()),
            failing_since: Set(progress.failing_since),
            failures: Set(progress.failures),
            next_attempt_at: Set(progress.next_attempt_at),
            ..Default::default()
        })
        .filter(webhook_delivery::Column::WebhookId.eq(step.webhook_id))
        .filter(webhook_delivery::Column::Holder.eq(step.holder))
        .filter(webhook_delivery::Column::Cursor.eq(step.from))
        .exec(db)
        .await?;
    Ok(moved.rows_affected > 0)
}

/// Adds attempts, and deletes those that are no longer kept.
pub(super) async fn insert_attempts(
    db: &impl ConnectionTrait,
    webhook_id: i64,
    attempts: &[webhook_attempt::ActiveModel],
) -> Result<(), DbErr> {
    const DELETE_OLD: &str = "DELETE FROM webhook_attempts WHERE webhook_id = $1 AND id <= (
        SELECT id FROM webhook_attempts WHERE webhook_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)";
    if attempts.is_empty() {
        return Ok(());
    }
    webhook_attempt::Entity::insert_many(attempts.iter().cloned())
        .exec_without_returning(db)
        .await?;
    let kept = i64::try_from(KEPT_ATTEMPTS).unwrap_or(i64::MAX);
    let values = [webhook_id.into(), kept.into()];
    let backend = db.get_database_backend();
    db.execute_raw(Statement::from_sql_and_values(backend, DELETE_OLD, values))
        .await?;
    Ok(())
}

/// Records a test, of a webhook that may have been deleted meanwhile.
pub(super) async fn record_test(
    database: &Database,
    row: &webhook::Model,
    message: &WebhookMessage,
    attempt: &Attempt,
) -> Result<(), Error> {
    let transaction = database.begin_write().await?;
    let attempts = [attempt_row(row.id, message, attempt)];
    let inserted = insert_attempts(&*transaction, row.id, &attempts).await;
    match inserted.map_err(Error::from) {
        Ok(()) => transaction.commit().await?,
        Err(Error::ForeignKey(_)) => transaction.rollback().await?,
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Forgets a secret that is no longer signed with.
pub(super) async fn forget_previous_secret(
    db: &impl ConnectionTrait,
    webhook_id: i64,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    webhook::Entity::update_many()
        .set(webhook::ActiveModel {
            previous_secret: Set(None),
            ..Default::default()
        })
        .filter(webhook::Column::Id.eq(webhook_id))
        .filter(webhook::Column::PreviousSecretUntil.lte(now))
        .exec(db)
        .await?;
    Ok(())
}
