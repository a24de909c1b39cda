//! The address of the client behind trusted proxies.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use poem::{Addr, Request, http::HeaderName};

use crate::http::{ClientAddress, joined};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies whose word on their clients counts.
#[derive(Clone, Debug, Default)]
pub(super) struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    pub(super) fn new(networks: &[IpNet]) -> Self {
        Self(networks.to_vec())
    }

    /// The peer or, while that is a trusted proxy, the client that it names. Each proxy adds its client at the
    /// end, so that what a client claims itself comes before and is not read.
    pub(super) fn client_of(&self, request: &Request) -> Option<ClientAddress> {
        let Addr::SocketAddr(peer) = &request.remote_addr().0 else {
            return None;
        };
        let forwarded = joined(request.headers(), &FORWARDED_FOR).ok().flatten();
        let client = self.client_behind(peer.ip(), &forwarded.unwrap_or_default());
        Some(ClientAddress(client))
    }

    fn client_behind(&self, peer: IpAddr, forwarded: &str) -> IpAddr {
        let mut hops = forwarded.rsplit(',');
        let mut client = peer.to_canonical();
        while self.0.iter().any(|network| network.contains(&client)) {
            let Some(hop) = hops.next().and_then(address_in) else {
                break;
            };
            client = hop;
        }
        client
    }
}

/// An address, which some proxies write with a port.
fn address_in(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let with_port = || hop.parse().ok().map(|address: SocketAddr| address.ip());
    let address = hop.parse().ok().or_else(with_port)?;
    Some(IpAddr::to_canonical(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_name_their_clients() {
        let networks = ["10.0.0.0/8", "::1/128"].map(|it| it.parse().expect("a network"));
        let trusted = TrustedProxies::new(&networks);
        for (peer, forwarded, client) in [
            ("192.0.2.1:9", "198.51.100.7", "192.0.2.1"),
            ("10.0.0.1:9", "198.51.100.7", "198.51.100.7"),
            ("10.0.0.1:9", "1.2.3.4, 198.51.100.7", "198.51.100.7"),
            (
                "10.0.0.1:9",
                "1.2.3.4, 198.51.100.7,10.0.0.2",
                "198.51.100.7",
            ),
            ("10.0.0.1:9", "198.51.100.7:4711", "198.51.100.7"),
            ("10.0.0.1:9", "::ffff:198.51.100.7", "198.51.100.7"),
            ("[::1]:9", "[2001:db8::1]:4711", "2001:db8::1"),
            ("[::ffff:10.0.0.1]:9", "2001:db8::1", "2001:db8::1"),
            ("10.0.0.1:9", "10.0.0.2", "10.0.0.2"),
            ("10.0.0.1:9", "1.2.3.4, unknown", "10.0.0.1"),
            ("10.0.0.1:9", "", "10.0.0.1"),
        ] {
            let peer: SocketAddr = peer.parse().expect("a peer");
            let client: IpAddr = client.parse().expect("an address");
            let found = trusted.client_behind(peer.ip(), forwarded);
            assert_eq!(found, client, "{peer} {forwarded}");
        }
    }
}
