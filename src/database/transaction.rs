//! Transactions that write.

use std::{
    ops::Deref,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use sea_orm::{
    ConnAcquireErr, DatabaseTransaction, DbErr, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use tracing::Instrument;

use super::{
    Database, connections::ConnectionPermit, statistics::PoolCounters, writers::WritePermit,
};
use crate::traces::in_active_trace;

/// How long a BEGIN may take. All that it can wait for has shorter limits, so only a database that
/// stays silent reaches this one.
const BEGIN_TIMEOUT: Duration = Duration::from_mins(1);

/// A transaction under way. Dropping it rolls it back.
#[derive(Debug)]
pub struct Transaction {
    transaction: DatabaseTransaction,
    counters: Arc<PoolCounters>,
    _permits: (WritePermit, ConnectionPermit),
}

impl Transaction {
    /// # Errors
    /// What the database reports. If the connection broke, the outcome is unknown.
    pub async fn commit(self) -> Result<(), DbErr> {
        let started = Instant::now();
        let result = self.transaction.commit().await;
        self.counters
            .trace_transaction("COMMIT", started.elapsed(), result.is_err());
        result
    }

    /// # Errors
    /// What the database reports.
    pub async fn rollback(self) -> Result<(), DbErr> {
        self.transaction.rollback().await
    }
}

impl Deref for Transaction {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.transaction
    }
}

impl Database {
    /// Begins a transaction that will write. On SQLite it takes the write lock at once: a transaction
    /// that reads first and writes later fails if another one wrote in between.
    ///
    /// # Errors
    /// No connection within the acquire timeout, or no write lock within the lock timeout.
    pub async fn begin_write(&self) -> Result<Transaction, DbErr> {
        self.retry_once(|| self.begin()).await
    }

    /// Begins in a task of its own, which can't be cancelled. If the future of a BEGIN were dropped
    /// before its answer arrives, the connection would return to the pool inside a transaction that
    /// nothing commits, and later writes on that connection would be lost.
    async fn begin(&self) -> Result<Transaction, DbErr> {
        let database = self.clone();
        let begin = async move {
            let write_permit = database.write_permit().await?;
            let permit = database.connections.permit().await?;
            database.connections.return_one();
            let options = TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            };
            let (started, counters) = (Instant::now(), &database.inner.counters);
            let mut begin = pin!(database.inner.pool.begin_with_options(options));
            if let Ok(result) = tokio::time::timeout(BEGIN_TIMEOUT, begin.as_mut()).await {
                counters.trace_transaction("BEGIN", started.elapsed(), result.is_err());
                return result.map(|transaction| Transaction {
                    transaction,
                    counters: Arc::clone(counters),
                    _permits: (write_permit, permit),
                });
            }
            database.distrust_connections();
            Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))
        };
        tokio::spawn(in_active_trace(begin.in_current_span()))
            .await
            .unwrap_or_else(|error| Err(DbErr::Custom(error.to_string())))
    }
}
