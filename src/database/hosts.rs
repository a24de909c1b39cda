//! Follows the server that is to be used, where the URL names several or asks for attributes that a server
//! can lose. One connection of its own watches it. When that server fails or changes its role, the pools
//! are led to the one that will do then.

use std::{sync::Arc, time::Duration};

use migration::database::{
    connection::{ChosenHost, Hosts},
    hooks::Distrust,
};
use sea_orm::{
    DbErr, RuntimeErr,
    sqlx::{PgPool, postgres::PgConnectOptions},
};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// How often the server is asked whether it still will do.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);
/// The pause between attempts to find one that will do.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Whether the pools lead to a server that will do. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct HostWatch {
    state: Arc<watch::Sender<HostState>>,
    timeout: Duration,
}

#[derive(Debug)]
enum HostState {
    Looking,
    Settled,
    Failed(DbErr),
}

impl HostWatch {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            state: Arc::new(watch::Sender::new(HostState::Looking)),
            timeout,
        }
    }

    /// Waits until a server is chosen.
    ///
    /// # Errors
    /// No server will do.
    pub(super) async fn settled(&self) -> Result<(), DbErr> {
        let mut state = self.state.subscribe();
        let found = state.wait_for(|state| !matches!(state, HostState::Looking));
        match tokio::time::timeout(self.timeout, found).await {
            Ok(Ok(found)) => match &*found {
                HostState::Failed(cause) => Err(cause.clone()),
                _ => Ok(()),
            },
            _ => Err(DbErr::Conn(RuntimeErr::Internal(
                "no server answered in time".to_owned(),
            ))),
        }
    }

    /// Leads the pools to the right server, until the handle is dropped.
    pub(super) fn follow(
        &self,
        hosts: Hosts,
        pools: Vec<PgPool>,
        distrust: Distrust,
    ) -> AbortOnDropHandle<()> {
        let watch = self.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut used = None;
            loop {
                match hosts.choose(watch.timeout).await {
                    Ok(chosen) => {
                        if used.replace(chosen.index) != Some(chosen.index) {
                            lead(&pools, &distrust, hosts.options(chosen.index));
                        }
                        watch.state.send_replace(HostState::Settled);
                        stay(chosen).await;
                        tracing::warn!("the database server fails or has lost its role");
                        watch.state.send_replace(HostState::Looking);
                    }
                    Err(cause) => {
                        watch.state.send_replace(HostState::Failed(cause));
                        tokio::time::sleep(RETRY_INTERVAL).await;
                    }
                }
            }
        }))
    }
}

/// Has new sessions opened on this server, and those on another one replaced.
fn lead(pools: &[PgPool], distrust: &Distrust, server: &PgConnectOptions) {
    for pool in pools {
        pool.set_connect_options(server.clone());
    }
    distrust.replace_all(Duration::ZERO);
    let (host, port) = (server.get_host(), server.get_port());
    tracing::info!(host, port, "database server chosen");
}

/// Returns when the server no longer will do.
async fn stay(mut chosen: ChosenHost) {
    while chosen.will_do().await {
        tokio::time::sleep(WATCH_INTERVAL).await;
    }
}
