//! What a pool of PostgreSQL sessions looks at when one is handed out and when it comes back.
//!
//! A round trip for each of the two would cost a third of the throughput, so a session that was in
//! use a moment ago, or was left in order, is believed to be sound. Where something went wrong, and
//! for some seconds after that, nothing is believed.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use sea_orm_migration::sea_orm::sqlx::{
    Connection, Error, PgConnection, Row, postgres::PgPoolOptions, raw_sql,
};

/// How long a session may take to say that it is alive. One that does not is closed: to wait for
/// it would cost the pool its place for as long as the network takes to notice.
const ANSWER: Duration = Duration::from_secs(1);
/// How long a session may lie unused and is still handed out unasked.
const UNUSED: Duration = Duration::from_secs(1);
/// How long nothing is believed after something went wrong.
const WARY: Duration = Duration::from_secs(5);

/// When something last went wrong with a session of a pool. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Suspicion(Arc<Mutex<Option<Instant>>>);

impl Suspicion {
    /// A session proved dead, or was given up in the middle of something: others may be dead, too.
    pub fn raise(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn raised(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it was raised after something else had happened, so long ago.
    #[must_use]
    pub fn is_newer_than(&self, ago: Duration) -> bool {
        self.raised().is_some_and(|raised| raised.elapsed() <= ago)
    }
}

/// Adds the looks to a pool.
pub(crate) fn watch(pool: PgPoolOptions, suspicion: &Suspicion) -> PgPoolOptions {
    let (taken, returned) = (suspicion.clone(), suspicion.clone());
    pool.test_before_acquire(false)
        .before_acquire(move |session, used| {
            let believed = used.idle_for < UNUSED && !taken.is_newer_than(used.idle_for);
            async move { Ok(believed || is_alive(session).await) }.boxed()
        })
        .after_release(move |session, _| {
            let believed = !returned.is_newer_than(WARY);
            async move { is_in_order(session, believed).await }.boxed()
        })
}

async fn is_alive(session: &mut PgConnection) -> bool {
    tokio::time::timeout(ANSWER, session.ping())
        .await
        .is_ok_and(|answered| answered.is_ok())
}

/// Whether a session may go back into the pool. One whose user was dropped in the middle of a
/// statement has an answer outstanding; one that is still in a transaction would swallow the writes
/// of all who use it later.
async fn is_in_order(session: &mut PgConnection, believed: bool) -> Result<bool, Error> {
    let nothing_outstanding = matches!(session.flush().now_or_never(), Some(Ok(())));
    if nothing_outstanding && believed {
        return Ok(true);
    }
    let asked = raw_sql("SELECT now() <> statement_timestamp()").fetch_one(session);
    match tokio::time::timeout(ANSWER, asked).await {
        Ok(answer) => Ok(!answer?.try_get::<bool, _>(0)?),
        Err(_) => Err(Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}
