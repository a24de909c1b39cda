//! Whether the database can be used, asked by a connection that no request takes.

use std::{sync::Arc, time::Duration};

use migration::{
    database::{
        connection::{self, PoolSize},
        hooks::Distrust,
        settings::DatabaseSettings,
    },
    runner,
};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};

use super::{Connections, Database, Guards, PoolCounters, Target, errors};
use crate::error::Error;

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
    pub(super) fn open(
        settings: &DatabaseSettings,
        target: &Target,
        distrust: &Distrust,
        counters: &Arc<PoolCounters>,
        guards: &Guards,
    ) -> Option<Self> {
        const ONE: PoolSize = PoolSize { min: 0, max: 1 };
        if target.is_in_memory() {
            return None;
        }
        let timeout = settings.db_acquire_timeout.min(MAX_ACQUIRE_TIMEOUT);
        let settings = DatabaseSettings {
            db_acquire_timeout: timeout,
            ..settings.clone()
        };
        let pool = connection::open_with_distrust(&settings, target, ONE, distrust);
        let counters = Arc::clone(counters);
        let connections =
            Connections::new(&pool, ONE, &settings, distrust, counters, guards.clone());
        Some(Self { pool, connections })
    }

    pub(super) fn pool(&self) -> &DatabaseConnection {
        &self.pool
    }

    pub(super) fn connections(&self) -> &Connections {
        &self.connections
    }

    async fn check(&self) -> Result<(), Error> {
        const IS_READ_ONLY: &str = "SELECT current_setting('transaction_read_only') = 'on'";
        check_schema(&self.connections).await?;
        if self.connections.get_database_backend() == DbBackend::Sqlite {
            return Ok(());
        }
        let statement = Statement::from_string(DbBackend::Postgres, IS_READ_ONLY);
        let row = self.connections.query_one_raw(statement).await?;
        match row.map(|row| row.try_get_by_index(0)).transpose()? {
            Some(true) => Err(Error::ReadOnly(DbErr::Custom(
                "transaction_read_only is on".to_owned(),
            ))),
            _ => Ok(()),
        }
    }

    pub(super) async fn close(&self) -> Result<(), DbErr> {
        self.connections.return_all();
        self.pool.close_by_ref().await
    }
}

impl Database {
    /// Checks that the database answers, that it takes writes, and that its schema is the one this program
    /// knows. A pool that is full is no reason to be unready: other instances would get its load, and be
    /// full as well.
    ///
    /// # Errors
    /// Why the database can't be used.
    pub(crate) async fn check_readiness(&self) -> Result<(), Error> {
        let Some(probe) = &self.inner.probe else {
            return Ok(());
        };
        let checked = match probe.check().await {
            Err(Error::ReadOnly(_)) => {
                self.replace_connections();
                probe.check().await
            }
            Err(error) if self.proved_dead(&error) => probe.check().await,
            result => result,
        };
        let cause = match checked {
            // The pool hides why it has no connection.
            Err(Error::PoolExhausted(_)) => self.try_connect().await.err(),
            Err(Error::Unavailable(cause)) => Some(cause),
            result => return result,
        };
        match cause {
            Some(cause) if !errors::is_out_of_connections(&cause) => Err(Error::Unavailable(cause)),
            _ => self.check_by_pool().await,
        }
    }

    /// A connection that no request takes; `None` for a database in memory, which has one.
    pub(crate) fn probe(&self) -> Option<&Connections> {
        self.inner.probe.as_ref().map(Probe::connections)
    }

    /// The database lets clients in, or as many as it allows are in.
    async fn check_by_pool(&self) -> Result<(), Error> {
        match check_schema(&self.connections).await {
            Err(Error::PoolExhausted(_)) => Ok(()),
            result => result,
        }
    }
}

async fn check_schema(connections: &Connections) -> Result<(), Error> {
    let current = runner::status(connections).await?.check_current();
    current.map_err(|_| Error::SchemaNotCurrent)
}
