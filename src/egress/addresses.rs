//! Which addresses are on the public internet. All others may be reached by this service and not by who names them.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::LazyLock,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// IANA's special-purpose addresses of IPv4 that are not globally reachable, and those of clouds.
static NOT_PUBLIC_V4: LazyLock<Vec<Ipv4Net>> = LazyLock::new(|| {
    networks(&[
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
        // Azure's host, which answers every machine of its cloud.
        "168.63.129.16/32",
    ])
});

/// The only addresses of IPv6 that are given out.
static GLOBAL_UNICAST: LazyLock<Vec<Ipv6Net>> = LazyLock::new(|| networks(&["2000::/3"]));

/// Those among them that are not public: protocols such as Teredo, documentation, and 6to4, whose addresses hold one of
/// IPv4 that a relay sends to.
static NOT_PUBLIC_V6: LazyLock<Vec<Ipv6Net>> =
    LazyLock::new(|| networks(&["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"]));

/// Addresses whose last 32 bits are an address of IPv4 that a translator sends to (RFC 6052).
static TRANSLATED: LazyLock<Vec<Ipv6Net>> = LazyLock::new(|| networks(&["64:ff9b::/96"]));

fn networks<N: std::str::FromStr>(texts: &[&str]) -> Vec<N> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

/// Whether a packet to this address goes out to the internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !NOT_PUBLIC_V4.iter().any(|net| net.contains(&address))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let is_in = |nets: &[Ipv6Net]| nets.iter().any(|net| net.contains(&address));
    match address.to_ipv4_mapped() {
        Some(mapped) => is_public_v4(mapped),
        None if is_in(&TRANSLATED) => is_public_v4(last_bits(address)),
        None => is_in(&GLOBAL_UNICAST) && !is_in(&NOT_PUBLIC_V6),
    }
}

fn last_bits(address: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}

/// Whether a network that an operator allows has the address, in any form.
pub(super) fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    let plain = address.to_canonical();
    networks
        .iter()
        .any(|net| net.contains(&address) || net.contains(&plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_networks_are_read() {
        assert_eq!(NOT_PUBLIC_V4.len(), 15);
        assert_eq!(GLOBAL_UNICAST.len() + TRANSLATED.len(), 2);
        assert_eq!(NOT_PUBLIC_V6.len(), 4);
    }

    #[test]
    fn what_only_this_service_reaches_is_not_public() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.0.1",
            "169.254.169.254",
            "169.254.170.2",
            "168.63.129.16",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::a00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:0:7f00:1::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::1",
            "2002:808:808::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(text.parse().expect(text)), "{text}");
        }
    }

    #[test]
    fn what_anyone_reaches_is_public() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "168.63.129.17",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "192.169.0.1",
            "198.17.255.255",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2001:4860:4860::8888",
            "2606:4700:4700::1111",
            "2a00:1450:4001::1",
        ] {
            assert!(is_public(text.parse().expect(text)), "{text}");
        }
    }

    #[test]
    fn an_allowed_network_has_an_address_in_any_form() {
        let allowed = [
            "10.1.0.0/16".parse().expect("a network"),
            "fd00::/8".parse().expect("a network"),
        ];
        for (text, expected) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("10.2.0.1", false),
            ("fd00::1", true),
            ("fe80::1", false),
        ] {
            assert_eq!(
                is_in(&allowed, text.parse().expect(text)),
                expected,
                "{text}"
            );
        }
    }
}
