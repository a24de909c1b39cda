//! One replica: its pools, and whether it is fit to be read.

use std::{fmt, pin::pin, sync::Arc, time::Duration};

use migration::database::{
    connection::{self, PoolSize, Target, TargetError},
    hooks::Distrust,
    settings::DatabaseSettings,
};
use sea_orm::{DatabaseConnection, DbBackend, DbErr};
use tokio::{sync::watch, time::timeout};

use super::{CHECK_TIMEOUT, ReplicaError, SETTING, samples::Samples};
use crate::database::{
    Connections, Database, Guards, LogPosition, Probe, errors, log_position::end_of_replay,
};

/// The server of a URL, if it can be a replica of a database.
///
/// # Errors
/// Why it can't.
pub(crate) fn replica_target(url: &str, primary: &Database) -> Result<Target, ReplicaError> {
    let target: Target = url
        .parse()
        .map_err(|error: TargetError| ReplicaError::Target(error.of_setting(SETTING)))?;
    let backends = [primary.target().backend(), target.backend()];
    if backends != [DbBackend::Postgres; 2] {
        return Err(ReplicaError::NotPostgres);
    }
    // What is asked of one server must not be taken for an answer of another.
    if target.hosts().is_some() {
        return Err(ReplicaError::SeveralServers);
    }
    Ok(target)
}

#[derive(Debug)]
pub(crate) struct Replica {
    /// Its host and port.
    address: String,
    pool: DatabaseConnection,
    connections: Connections,
    /// A connection that no read takes.
    probe: Probe,
    distrust: Distrust,
    state: watch::Sender<ReplicaState>,
}

/// What the last check found.
#[derive(Clone, Debug)]
enum ReplicaState {
    Fit {
        lag: Duration,
    },
    /// It answers, but lags too far.
    Behind {
        lag: Option<Duration>,
    },
    NotAStandby,
    /// It does not answer, or was not asked yet.
    Lost(String),
}

impl Replica {
    /// Opens the pools of a replica, which has the settings of the primary's. No connection is made yet.
    pub(super) fn open(url: &str, primary: &Database) -> Result<Self, ReplicaError> {
        let target = replica_target(url, primary)?;
        let primary = &primary.inner;
        let settings = DatabaseSettings {
            database_url: Some(url.to_owned()),
            ..primary.settings.clone()
        };
        let size = PoolSize {
            min: 0,
            ..primary.size
        };
        let distrust = Distrust::default();
        let guards = Guards {
            file: None,
            hosts: None,
        };
        let pool = connection::open_with_distrust(&settings, &target, size, &distrust);
        let connections = Connections::new(
            &pool,
            size,
            &settings,
            &distrust,
            Arc::clone(&primary.counters),
            guards.clone(),
        );
        let probe = Probe::open(&settings, &target, &distrust, &primary.counters, &guards)
            .ok_or(ReplicaError::NotPostgres)?;
        Ok(Self {
            address: target.address(),
            pool,
            connections,
            probe,
            distrust,
            state: watch::Sender::new(ReplicaState::Lost("it was not asked yet".to_owned())),
        })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Where to read from it.
    pub(in crate::database) fn connections(&self) -> &Connections {
        &self.connections
    }

    pub(super) fn is_fit(&self) -> bool {
        matches!(*self.state.borrow(), ReplicaState::Fit { .. })
    }

    /// By how much it lagged at the last check, at most.
    pub(super) fn lag(&self) -> Option<Duration> {
        match *self.state.borrow() {
            ReplicaState::Fit { lag } => Some(lag),
            ReplicaState::Behind { lag } => lag,
            _ => None,
        }
    }

    /// Whether it has what was written up to this position.
    pub(super) async fn has(&self, written: LogPosition) -> bool {
        match self.unless_lost(end_of_replay(&self.connections)).await {
            Some(Ok(Some(replayed))) => replayed.includes(written),
            Some(Err(cause)) => {
                self.suspect(&cause);
                false
            }
            _ => false,
        }
    }

    /// Runs work on the replica, or drops it when the replica is lost: then the result is `None`.
    pub(crate) async fn unless_lost<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut state = self.state.subscribe();
        let lost = state.wait_for(|state| matches!(state, ReplicaState::Lost(_)));
        // Pinned here, so that the pool knows before it gets the connection back.
        let mut work = pin!(work);
        tokio::select! {
            biased;
            result = work.as_mut() => Some(result),
            _ = lost => {
                self.distrust.raise();
                None
            }
        }
    }

    /// Has the replica read no more until its next check, if an error says that it is gone.
    pub(crate) fn suspect(&self, cause: &DbErr) {
        if errors::is_connection_lost(cause) || matches!(cause, DbErr::Conn(_)) {
            self.distrust.raise();
            self.turn(ReplicaState::Lost(cause.to_string()));
        }
    }

    /// Asks the replica how far it is.
    pub(super) async fn check(&self, samples: &Samples, max_lag: Duration) {
        let replayed = end_of_replay(self.probe.connections());
        let mut replayed = pin!(replayed);
        let state = match timeout(CHECK_TIMEOUT, replayed.as_mut()).await {
            Ok(Ok(Some(replayed))) => match samples.lag_at(replayed) {
                Some(lag) if lag <= max_lag => ReplicaState::Fit { lag },
                lag => ReplicaState::Behind { lag },
            },
            Ok(Ok(None)) => ReplicaState::NotAStandby,
            Ok(Err(cause)) => ReplicaState::Lost(cause.to_string()),
            Err(_) => {
                self.distrust.raise();
                ReplicaState::Lost("it does not answer in time".to_owned())
            }
        };
        self.turn(state);
    }

    /// Records a state, and logs it if it is of another kind than the last one.
    fn turn(&self, state: ReplicaState) {
        let address = &self.address;
        let turned = self.state.send_if_modified(|last| {
            let is_another = std::mem::discriminant(last) != std::mem::discriminant(&state);
            *last = state.clone();
            is_another
        });
        match state {
            _ if !turned => {}
            ReplicaState::Fit { .. } => {
                tracing::info!(replica = address, "the replica is fit to be read");
            }
            unfit => tracing::warn!(replica = address, reason = %unfit, "the replica is not read"),
        }
    }

    pub(super) async fn close(&self) {
        self.connections.return_all();
        for closed in [self.probe.close().await, self.pool.close_by_ref().await] {
            if let Err(cause) = closed {
                tracing::warn!(replica = self.address, %cause, "the pool was closed with an error");
            }
        }
    }
}

impl fmt::Display for ReplicaState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fit { .. } => f.write_str("none"),
            Self::Behind { .. } => f.write_str("it lags too far behind the primary"),
            Self::NotAStandby => f.write_str("it is not a standby"),
            Self::Lost(cause) => f.write_str(cause),
        }
    }
}
