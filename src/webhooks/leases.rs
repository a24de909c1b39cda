//! Leases: which instance delivers a webhook, and until when.
//!
//! Their times are those of the database's clock. A holder knows by its own clock when it asked, and ends a second
//! before the lease that it asked for then, so that clocks which differ do no harm.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value};
use tokio::{sync::watch, time::Instant};

use super::metrics::WebhookState;
use crate::{database::Connections, error::Error, rows::Columns};

/// How long a holder may deliver, of a lease that the statements make a second longer.
const HELD: Duration = Duration::from_secs(9);
pub(super) const RENEWAL_INTERVAL: Duration = Duration::from_secs(3);

/// When a holder that asks for a lease now has to stop.
pub(super) fn deadline_from(asked: Instant) -> Instant {
    asked + HELD
}

/// The time of the database, and the end of a lease that begins then.
fn times(backend: DbBackend) -> (&'static str, &'static str) {
    match backend {
        DbBackend::Sqlite => (
            "strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now')",
            "strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now', '+10 seconds')",
        ),
        _ => (
            "clock_timestamp()",
            "(clock_timestamp() + interval '10 seconds')",
        ),
    }
}

/// A webhook as one look finds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct FoundWebhook {
    pub(super) id: i64,
    pub(super) revision: i64,
    pub(super) state: WebhookState,
    pub(super) is_mine: bool,
    pub(super) is_free: bool,
}

impl FoundWebhook {
    pub(super) fn is_delivered(&self) -> bool {
        matches!(self.state, WebhookState::Active | WebhookState::Failing)
    }
}

/// Looks at all webhooks.
pub(super) async fn look(db: &Connections, holder: &str) -> Result<Vec<FoundWebhook>, Error> {
    let backend = db.get_database_backend();
    let (now, _) = times(backend);
    let sql = format!(
        "SELECT w.id, w.revision, w.is_enabled, w.paused_at IS NOT NULL, d.failures,
            coalesce(d.holder = $1 AND d.leased_until > {now}, false),
            d.holder IS NULL OR d.leased_until <= {now}
        FROM webhooks w JOIN webhook_deliveries d ON d.webhook_id = w.id ORDER BY w.id"
    );
    let statement = Statement::from_sql_and_values(backend, sql, [holder.into()]);
    let rows = db.query_all_raw(statement).await?;
    let found = rows.iter().map(|row| read(&mut Columns::of(row)));
    Ok(found.collect::<Result<_, _>>()?)
}

fn read(columns: &mut Columns<'_>) -> Result<FoundWebhook, DbErr> {
    let (id, revision) = (columns.next()?, columns.next()?);
    let (is_enabled, is_paused): (bool, bool) = (columns.next()?, columns.next()?);
    let failures: i64 = columns.next()?;
    let state = match (is_enabled, is_paused, failures) {
        (false, ..) => WebhookState::Disabled,
        (_, true, _) => WebhookState::Paused,
        (.., 0) => WebhookState::Active,
        _ => WebhookState::Failing,
    };
    Ok(FoundWebhook {
        id,
        revision,
        state,
        is_mine: columns.next()?,
        is_free: columns.next()?,
    })
}

/// Takes the leases of all webhooks that no one delivers. Of two instances that ask at once, one gets each.
pub(super) async fn take_free(db: &Connections, holder: &str) -> Result<Vec<i64>, Error> {
    let (now, until) = times(db.get_database_backend());
    let sql = format!(
        "UPDATE webhook_deliveries SET holder = $1, leased_until = {until}
        WHERE (holder IS NULL OR leased_until <= {now})
            AND webhook_id IN (SELECT id FROM webhooks WHERE is_enabled AND paused_at IS NULL)
        RETURNING webhook_id"
    );
    ids(db, sql, vec![holder.into()]).await
}

/// Renews all leases of this holder that have not ended, and says which.
pub(super) async fn renew(db: &Connections, holder: &str) -> Result<Vec<i64>, Error> {
    let (now, until) = times(db.get_database_backend());
    let sql = format!(
        "UPDATE webhook_deliveries SET leased_until = {until}
        WHERE holder = $1 AND leased_until > {now} RETURNING webhook_id"
    );
    ids(db, sql, vec![holder.into()]).await
}

/// Gives one lease of this holder back, or all.
pub(super) async fn release(
    db: &Connections,
    holder: &str,
    webhook_id: Option<i64>,
) -> Result<(), Error> {
    let sql = "UPDATE webhook_deliveries SET holder = NULL, leased_until = NULL
        WHERE holder = $1 AND webhook_id = coalesce(CAST($2 AS bigint), webhook_id) RETURNING webhook_id";
    let values = vec![holder.into(), webhook_id.into()];
    ids(db, sql.to_owned(), values).await?;
    Ok(())
}

async fn ids(db: &Connections, sql: String, values: Vec<Value>) -> Result<Vec<i64>, Error> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    let rows = db.query_all_raw(statement).await?;
    let ids = rows.iter().map(|row| Columns::of(row).next());
    Ok(ids.collect::<Result<_, _>>()?)
}

/// A lease, as who delivers knows it.
#[derive(Clone, Debug)]
pub(super) struct Lease(watch::Receiver<Instant>);

impl Lease {
    /// A lease until this time, and what makes it longer.
    pub(super) fn until(deadline: Instant) -> (watch::Sender<Instant>, Self) {
        let (sender, receiver) = watch::channel(deadline);
        (sender, Self(receiver))
    }

    pub(super) fn has_ended(&self) -> bool {
        Instant::now() >= *self.0.borrow()
    }

    /// Waits until nothing may be delivered any more.
    pub(super) async fn ended(&mut self) {
        loop {
            let deadline = *self.0.borrow_and_update();
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(deadline) => return,
                renewed = self.0.changed() => if renewed.is_err() {
                    // It is no longer renewed.
                    tokio::time::sleep_until(deadline).await;
                    return;
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lease_ends_when_it_is_not_renewed() {
        let step = Duration::from_millis(50);
        let begun = Instant::now();
        let (renewal, mut lease) = Lease::until(begun + step);
        renewal.send_replace(begun + 3 * step);
        lease.ended().await;
        assert!(lease.has_ended() && Instant::now() >= begun + 3 * step);
        drop(renewal);
        lease.ended().await;
    }

    #[test]
    fn a_lease_outlasts_the_loss_of_two_renewals() {
        assert!(HELD >= 3 * RENEWAL_INTERVAL);
        for backend in [DbBackend::Sqlite, DbBackend::Postgres] {
            let (_, until) = times(backend);
            let length = format!("{} seconds", HELD.as_secs() + 1);
            assert!(until.contains(&length), "{until}");
        }
    }
}
