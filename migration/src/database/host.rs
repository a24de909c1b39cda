//! Names, addresses and socket directories of database servers.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Splits `host:port`; either may be missing. An IPv6 address with a port is in brackets.
pub(super) fn split_port(text: &str) -> (&str, &str) {
    let bracketed = text.strip_prefix('[').and_then(|text| text.split_once(']'));
    match bracketed {
        Some((host, "")) => (host, ""),
        Some((host, rest)) if rest.starts_with(':') => (host, &rest[1..]),
        _ => text.split_once(':').unwrap_or((text, "")),
    }
}

/// Whether the text is an absolute path, an IP address or a host name as of RFC 1123. Underscores are
/// taken, because container networks have them.
pub(super) fn is_host(text: &str) -> bool {
    let address = text.split('%').next().unwrap_or_default();
    text.starts_with('/') || address.parse::<Ipv6Addr>().is_ok() || is_name_or_ipv4(text)
}

fn is_name_or_ipv4(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        (1..64).contains(&label.len())
            && !label.starts_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let ends_in_number = name
        .rsplit('.')
        .next()
        .is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    name.len() < 254
        && name.split('.').all(is_label)
        && (!ends_in_number || name.parse::<Ipv4Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_an_address_or_a_folder() {
        for host in [
            "localhost",
            "db.example.",
            "my_db",
            "db-1",
            "3com.example",
            "127.0.0.1",
            "::1",
            "fe80::1%eth0",
            "/run/postgresql",
        ] {
            assert!(is_host(host), "{host}");
        }
        for none in [
            "",
            ".",
            "a..b",
            "-a",
            "a b",
            "5432",
            "1.2.3",
            "1.2.3.256",
            "postgres://db",
            "db/app",
            "u@db",
            "h:5433",
            "[::1",
            "bücher.example",
            "a,b",
        ] {
            assert!(!is_host(none), "{none}");
        }
    }

    #[test]
    fn a_port_follows_the_last_colon_of_a_host() {
        for (text, parts) in [
            ("h:1", ("h", "1")),
            ("h", ("h", "")),
            ("[::1]:1", ("::1", "1")),
            ("[::1]", ("::1", "")),
            (":1", ("", "1")),
            ("::1", ("", ":1")),
        ] {
            assert_eq!(split_port(text), parts, "{text}");
        }
    }
}
