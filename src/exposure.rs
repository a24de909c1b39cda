//! A service that others can reach asks for keys, or does not start.

use std::net::SocketAddr;

use sea_orm::DbErr;

use crate::{config::ServerSettings, database::Database, keys::queries};

/// Others could reach the service, and there is no key to tell them apart by.
#[derive(Debug, thiserror::Error)]
#[error(
    "{address} can be reached from other machines, and the database has no usable API key; create \
     one with `circle-registry keys create --name admin --scope admin`, or listen on 127.0.0.1, or \
     say --insecure where whoever reaches the address may read and change everything"
)]
pub struct Exposed {
    address: SocketAddr,
}

/// Holds the address against the keys that there are.
///
/// # Errors
/// What the database reports.
pub(crate) async fn check(
    settings: &ServerSettings,
    database: &Database,
) -> Result<Result<(), Exposed>, DbErr> {
    let address = settings.bind;
    if settings.is_loopback() {
        return Ok(Ok(()));
    }
    let usable = queries::usable_exist(database.connection()).await?;
    if settings.insecure && !usable {
        tracing::warn!(
            %address,
            "INSECURE: there is no usable API key; while there is none at all, whoever reaches the \
             address can read and change everything"
        );
    }
    Ok(if usable || settings.insecure {
        Ok(())
    } else {
        Err(Exposed { address })
    })
}
