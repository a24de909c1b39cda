//! Whether the database can be used, asked by a connection that no request takes.

use std::{sync::Arc, time::Duration};

use migration::{
    database::{
        connection::{self, PoolSize},
        hooks::Distrust,
        settings::DatabaseSettings,
    },
    runner::{self, MigrateError},
};
use sea_orm::{DatabaseConnection, DbErr};

use super::{Connections, Database, PoolCounters, Target, errors};

/// The longest wait for the connection. Only other probes use it.
const MAX_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);

/// A pool of one connection.
#[derive(Debug)]
pub(super) struct Probe {
    pool: DatabaseConnection,
    connections: Connections,
}

impl Probe {
    /// `None` for a database in memory, which has one connection and is never down.
    pub(super) async fn open(
        settings: &DatabaseSettings,
        target: &Target,
        distrust: &Distrust,
        counters: &Arc<PoolCounters>,
    ) -> Result<Option<Self>, DbErr> {
        const ONE: PoolSize = PoolSize { min: 0, max: 1 };
        if target.is_in_memory() {
            return Ok(None);
        }
        let timeout = settings.db_acquire_timeout.min(MAX_ACQUIRE_TIMEOUT);
        let settings = DatabaseSettings {
            db_acquire_timeout: timeout,
            ..settings.clone()
        };
        let pool = connection::open_with_distrust(&settings, target, ONE, distrust).await?;
        let connections = Connections::new(&pool, ONE, &settings, distrust, Arc::clone(counters));
        Ok(Some(Self { pool, connections }))
    }

    pub(super) async fn close(&self) -> Result<(), DbErr> {
        self.connections.return_all();
        self.pool.close_by_ref().await
    }
}

impl Database {
    /// Checks that the database answers and that its schema is the one this program knows. A pool that is
    /// full is no reason to be unready: other instances would get its load, and be full as well.
    ///
    /// # Errors
    /// Why the database can't be used.
    pub(crate) async fn check_readiness(&self) -> Result<(), MigrateError> {
        let Some(probe) = &self.0.probe else {
            return Ok(());
        };
        let cause = match runner::status(&probe.connections).await {
            Ok(status) => return status.check_current(),
            // The pool hides why it has no connection.
            Err(DbErr::ConnectionAcquire(_)) => self.try_connect().await.err(),
            Err(cause) => Some(cause),
        };
        match cause {
            Some(cause) if !errors::is_out_of_connections(&cause) => {
                Err(MigrateError::Database(cause))
            }
            _ => self.check_by_pool().await,
        }
    }

    /// The database lets clients in, or as many as it allows are in.
    async fn check_by_pool(&self) -> Result<(), MigrateError> {
        match runner::status(&self.0.connections).await {
            Ok(status) => status.check_current(),
            Err(DbErr::ConnectionAcquire(_)) => Ok(()),
            Err(cause) => Err(MigrateError::Database(cause)),
        }
    }
}
