//! A time limit for work that uses a database connection.

use std::{pin::pin, time::Duration};

use tokio::time::timeout;

use crate::{database::Database, http::RequestError};

/// Runs the work, or drops it when the limit is reached.
///
/// Work that is dropped in the middle leaves its connection in an unknown state. The pool has to know
/// that before it gets the connection back, so the work is pinned here and outlives the timeout.
///
/// # Errors
/// [`RequestError::TimedOut`], or what the work fails with.
pub(super) async fn with_timeout<T, E>(
    limit: Duration,
    database: Option<&Database>,
    work: impl Future<Output = Result<T, E>>,
) -> poem::Result<T>
where
    E: Into<poem::Error>,
{
    let mut work = pin!(work);
    if let Ok(result) = timeout(limit, work.as_mut()).await {
        return result.map_err(Into::into);
    }
    if let Some(database) = database {
        database.distrust_connections();
    }
    Err(RequestError::TimedOut.into())
}
