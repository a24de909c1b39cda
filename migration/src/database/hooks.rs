//! When a pool of PostgreSQL connections checks a connection: after it was opened, before it is handed
//! out, and after it was returned.
//!
//! A round trip for each would cost a third of the throughput. So a connection that was used a moment
//! ago is trusted when it is handed out, and one that is returned idle is trusted to be outside a
//! transaction. After an error, no connection is trusted for a few seconds. If the server of one takes no
//! writes, all are replaced: a new connection may lead to a server that does.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use sea_orm_migration::sea_orm::sqlx::{
    Connection, Error, PgConnection, Row, postgres::PgPoolOptions, raw_sql,
};

use super::limits::SessionLimits;

/// How long a check may take. A connection that does not answer is closed: to wait for it would block
/// its slot in the pool until the network notices.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a connection may be idle and still be handed out unchecked.
const MAX_IDLE_UNCHECKED: Duration = Duration::from_secs(1);
/// How long no returned connection is trusted after an error.
const DISTRUST_PERIOD: Duration = Duration::from_secs(5);

/// When the connections of a pool last became suspect. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Distrust(Arc<Mutex<Raised>>);

#[derive(Debug, Default)]
struct Raised {
    suspected: Option<Instant>,
    /// Connections that were opened before this are replaced.
    replaced: Option<Instant>,
}

impl Distrust {
    /// Records that a connection proved dead or was abandoned in the middle of a statement, so that
    /// others may be affected too.
    pub fn raise(&self) {
        self.lock().suspected = Some(Instant::now());
    }

    #[must_use]
    pub fn raised_within(&self, period: Duration) -> bool {
        let suspected = self.lock().suspected;
        suspected.is_some_and(|raised| raised.elapsed() <= period)
    }

    /// Has every connection replaced that is open now, at most once in `interval`.
    pub fn replace_all(&self, interval: Duration) {
        let mut raised = self.lock();
        if raised
            .replaced
            .is_none_or(|last| last.elapsed() >= interval)
        {
            raised.replaced = Some(Instant::now());
        }
    }

    /// Whether a connection that was opened so long ago is to be replaced.
    #[must_use]
    pub fn replaces(&self, age: Duration) -> bool {
        let replaced = self.lock().replaced;
        replaced.is_some_and(|replaced| replaced.elapsed() <= age)
    }

    fn lock(&self) -> MutexGuard<'_, Raised> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds the checks to a pool, and the time limits of its sessions.
pub(crate) fn install(
    pool: PgPoolOptions,
    distrust: &Distrust,
    limits: SessionLimits,
) -> PgPoolOptions {
    let (on_acquire, on_release) = (distrust.clone(), distrust.clone());
    pool.test_before_acquire(false)
        .after_connect(move |connection, _| async move { limits.set(connection).await }.boxed())
        .before_acquire(move |connection, used| {
            let trusted =
                used.idle_for < MAX_IDLE_UNCHECKED && !on_acquire.raised_within(used.idle_for);
            let replaced = on_acquire.replaces(used.age);
            async move { Ok(!replaced && (trusted || is_alive(connection).await)) }.boxed()
        })
        .after_release(move |connection, _| {
            let trusted = !on_release.raised_within(DISTRUST_PERIOD);
            async move { is_reusable(connection, trusted).await }.boxed()
        })
}

async fn is_alive(connection: &mut PgConnection) -> bool {
    tokio::time::timeout(CHECK_TIMEOUT, connection.ping())
        .await
        .is_ok_and(|answer| answer.is_ok())
}

/// Whether a connection may return to the pool. If its user was dropped in the middle of a statement,
/// it has an answer outstanding. If it is still in a transaction, later writes on it would be lost:
/// there `now()` is older than `statement_timestamp()`.
async fn is_reusable(connection: &mut PgConnection, trusted: bool) -> Result<bool, Error> {
    let nothing_outstanding = matches!(connection.flush().now_or_never(), Some(Ok(())));
    if nothing_outstanding && trusted {
        return Ok(true);
    }
    let check = raw_sql("SELECT now() <> statement_timestamp()").fetch_one(connection);
    match tokio::time::timeout(CHECK_TIMEOUT, check).await {
        Ok(answer) => Ok(!answer?.try_get::<bool, _>(0)?),
        Err(_) => Err(Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}
