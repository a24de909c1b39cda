//! A time limit for work that uses a database connection.

use std::time::Duration;

use tokio::time::timeout;

use crate::{database::Database, http::RequestError};

/// Runs the work, or drops it when the limit is reached.
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
    let result = match database {
        Some(database) => database.within(limit, work).await,
        None => timeout(limit, work).await.ok(),
    };
    match result {
        Some(result) => result.map_err(Into::into),
        None => Err(RequestError::TimedOut.into()),
    }
}
