//! A service that other machines can reach must require API keys, or it does not start.

use std::net::SocketAddr;

use crate::config::ServerSettings;

/// Other machines can reach the service, and no API key would protect it.
#[derive(Debug, thiserror::Error)]
#[error(
    "{address} can be reached from other machines, and the database has no usable API key; create \
     one with `circle-registry keys create --name admin --scope admin`, or listen on 127.0.0.1, or \
     pass --insecure if every client that reaches the address may read and change everything"
)]
pub struct Exposed {
    address: SocketAddr,
}

/// Refuses an address that other machines can reach, unless there is a usable key or `--insecure`.
pub(crate) fn check(settings: &ServerSettings, has_usable_key: bool) -> Result<(), Exposed> {
    let address = settings.bind;
    if has_usable_key {
        return Ok(());
    }
    if !settings.insecure {
        return Err(Exposed { address });
    }
    tracing::warn!(
        %address,
        "INSECURE: there is no usable API key; as long as no key exists, every client that reaches \
         the address can read and change everything"
    );
    Ok(())
}
