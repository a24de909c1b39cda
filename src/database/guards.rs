//! What is checked before each statement and each transaction: that it would reach the right database.

use std::sync::Arc;

use sea_orm::DbErr;

use super::{file::DatabaseFile, hosts::HostWatch};

/// The checks that a database needs. Clones share their state.
#[derive(Clone, Debug)]
pub(super) struct Guards {
    pub(super) file: Option<Arc<DatabaseFile>>,
    pub(super) hosts: Option<HostWatch>,
}

impl Guards {
    /// # Errors
    /// A SQLite file that is no longer the one that was opened, or no server that will do.
    pub(super) async fn check(&self) -> Result<(), DbErr> {
        if let Some(file) = &self.file {
            file.check()?;
        }
        match &self.hosts {
            Some(hosts) => Box::pin(hosts.settled()).await,
            None => Ok(()),
        }
    }
}
