//! How many connections writes may use at once.

use std::sync::Arc;

use sea_orm::DbErr;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Database, connections::acquire};

/// The right to use a connection for writing while it is held.
pub(crate) type WritePermit = OwnedSemaphorePermit;

/// Three quarters of the pool. Writes wait for locks, and all that wait for the same one would take every
/// connection; then reads of other rows would have to wait as well.
pub(super) fn permits(pool_max: u32) -> Arc<Semaphore> {
    let max = usize::try_from(pool_max).unwrap_or(usize::MAX);
    Arc::new(Semaphore::new(
        (max - max / 4).min(max.saturating_sub(1)).max(1),
    ))
}

impl Database {
    /// Waits for the right to write, as long as for a connection.
    ///
    /// # Errors
    /// Too many writes are running.
    pub(crate) async fn write_permit(&self) -> Result<WritePermit, DbErr> {
        acquire(&self.inner.writers, self.acquire_timeout()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_pool_is_left_for_reads_if_it_has_more_than_one_connection() {
        for (max, writers) in [(1, 1), (2, 1), (3, 2), (4, 3), (20, 15), (100, 75)] {
            assert_eq!(permits(max).available_permits(), writers, "{max}");
        }
    }
}
