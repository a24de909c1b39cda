//! Whether API keys protect the service. If other machines can reach it, or keys are required, it does
//! not start without one.

use std::net::SocketAddr;

use sea_orm::DbErr;

use crate::{config::ServerSettings, database::Database, keys};

/// No API key would protect the service.
#[derive(Debug, thiserror::Error)]
pub enum Exposed {
    #[error(
        "{0} can be reached from other machines, and the database has no usable API key; create \
         one with `circle-registry keys create --name admin --scope admin`, or listen on 127.0.0.1, or \
         pass --insecure if every client that reaches the address may read and change everything"
    )]
    Address(SocketAddr),
    #[error(
        "--require-key is set, and the database has no usable API key; create one with \
         `circle-registry keys create --name admin --scope admin`"
    )]
    KeyRequired,
}

/// Which keys the database has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Keys {
    /// Whether any exist, even if they have expired or were revoked. Then every client needs one.
    pub(crate) exist: bool,
    /// Whether one is neither expired nor revoked. Looked up only where the service needs one.
    pub(crate) is_one_usable: bool,
}

impl Keys {
    pub(crate) async fn find(
        database: &Database,
        settings: &ServerSettings,
    ) -> Result<Self, DbErr> {
        let db = database.connection();
        let needs_usable = settings.require_key || !settings.is_loopback();
        Ok(Self {
            exist: keys::queries::exist(db).await?,
            is_one_usable: needs_usable && keys::queries::usable_exist(db).await?,
        })
    }
}

/// Refuses to serve without a usable key where one is needed, and warns of a service without keys.
pub(crate) fn check(settings: &ServerSettings, keys: Keys) -> Result<(), Exposed> {
    let address = settings.address();
    if settings.require_key && !keys.is_one_usable {
        return Err(Exposed::KeyRequired);
    }
    if settings.is_loopback() {
        if !keys.exist {
            tracing::warn!(
                %address,
                "no API key exists: everything on this machine can read and change everything, and so \
                 can every client of a proxy on it"
            );
        }
        return Ok(());
    }
    if keys.is_one_usable {
        return Ok(());
    }
    if !settings.insecure {
        return Err(Exposed::Address(address));
    }
    tracing::warn!(
        %address,
        "INSECURE: there is no usable API key; as long as no key exists, every client that reaches \
         the address can read and change everything"
    );
    Ok(())
}
