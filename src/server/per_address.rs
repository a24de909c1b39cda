//! How many connections one address has open.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The open connections of each address. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct ConnectionsPerAddress {
    limit: usize,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// The right of an address to one connection while it is held.
#[derive(Debug)]
pub(super) struct AddressPermit {
    connections: ConnectionsPerAddress,
    network: IpAddr,
}

impl ConnectionsPerAddress {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            open: Arc::default(),
        }
    }

    /// `None` if the address has as many connections as it may.
    pub(super) fn try_acquire(&self, address: IpAddr) -> Option<AddressPermit> {
        let network = network_of(address);
        let mut open = self.lock();
        let count = open.entry(network).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        drop(open);
        Some(AddressPermit {
            connections: self.clone(),
            network,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        if let Some(count) = open.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.network);
            }
        }
    }
}

/// The part of an address that a client can't change at will: all of IPv4, the first 64 bits of IPv6.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_as_many_connections_as_it_may_and_no_trace_without() {
        let connections = ConnectionsPerAddress::new(2);
        let acquire = |text: &str| connections.try_acquire(text.parse().expect("an address"));
        let first = acquire("2001:db8:1:2::1");
        let second = acquire("2001:db8:1:2:ffff::2");
        assert!(first.is_some() && second.is_some());
        assert!(acquire("2001:db8:1:2::3").is_none());
        assert!(acquire("2001:db8:1:3::1").is_some(), "another network");
        drop(first);
        assert!(acquire("2001:db8:1:2::3").is_some());
        let mapped = (acquire("10.0.0.1"), acquire("::ffff:10.0.0.1"));
        assert!(acquire("10.0.0.1").is_none());
        drop((second, mapped));
        assert!(connections.lock().is_empty());
    }
}
