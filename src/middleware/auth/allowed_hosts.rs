//! The host names that a service without keys answers to.
//!
//! A page from anywhere can have a browser resolve its own host name to 127.0.0.1 (DNS rebinding), or
//! submit a form there. The headers reveal both: `Host` names another host, or `Origin` another site.

use std::net::IpAddr;

use poem::{
    Request,
    http::{HeaderMap, header, uri::Authority},
};

use crate::{config::CorsOrigin, http::RequestError};

/// The names of the loopback interface, and those that the operator lists.
#[derive(Clone, Debug)]
pub(super) struct AllowedHosts {
    listed: Vec<String>,
    /// Origins whose pages may read responses.
    origins: Vec<CorsOrigin>,
}

impl AllowedHosts {
    pub(super) fn new(listed: &[String], origins: &[CorsOrigin]) -> Self {
        Self {
            listed: listed.to_vec(),
            origins: origins.to_vec(),
        }
    }

    /// # Errors
    /// The request is for another host, or a page of another site sent it.
    pub(super) fn check(&self, request: &Request) -> Result<(), RequestError> {
        let host_of_target = request.uri().host();
        if !values(request.headers(), header::HOST)
            .chain(host_of_target)
            .all(|host| self.contains(host))
        {
            return Err(RequestError::Host);
        }
        let mut origins = values(request.headers(), header::ORIGIN);
        if origins.all(|origin| self.is_own(origin, request)) {
            Ok(())
        } else {
            Err(RequestError::Origin)
        }
    }

    /// Whether an origin is this service, or may call it. On another port of this machine is another site.
    fn is_own(&self, origin: &str, request: &Request) -> bool {
        if self
            .origins
            .iter()
            .any(|allowed| allowed.as_str() == origin)
        {
            return true;
        }
        let Some((scheme, host)) = origin.split_once("://") else {
            return false;
        };
        let default_port = if scheme == "https" { 443 } else { 80 };
        let port_of = |host: &str| port_of(host).unwrap_or(default_port);
        // Without a host, as in HTTP/1.0, there is no port to compare with.
        let mut hosts = values(request.headers(), header::HOST)
            .chain(request.uri().authority().map(Authority::as_str));
        self.contains(host) && hosts.all(|own| port_of(own) == port_of(host))
    }

    fn contains(&self, host: &str) -> bool {
        let name = without_port(host);
        let is_loopback = |name: &str| {
            let name = name.trim_start_matches('[').trim_end_matches(']');
            name.parse()
                .is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
        };
        name.eq_ignore_ascii_case("localhost")
            || is_loopback(name)
            || self
                .listed
                .iter()
                .any(|listed| listed.eq_ignore_ascii_case(name))
    }
}

/// A value that is not text is empty here, which no host name is.
fn values(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter();
    values.map(|value| value.to_str().unwrap_or_default())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn port_of(host: &str) -> Option<u16> {
    let (_, port) = host.rsplit_once(':')?;
    port.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins() -> Vec<CorsOrigin> {
        vec!["https://console.example".parse().expect("an origin")]
    }

    fn request(headers: &[(&str, &str)]) -> Request {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.finish()
    }

    #[test]
    fn only_loopback_and_listed_names_are_answered() {
        let hosts = AllowedHosts::new(&["registry.example".to_owned()], &origins());
        for (host, allowed) in [
            ("127.0.0.1:8000", true),
            ("127.0.0.1", true),
            ("127.8.9.10:1", true),
            ("[::1]:8000", true),
            ("[::1]", true),
            ("[::ffff:127.0.0.1]:8000", true),
            ("localhost:8000", true),
            ("LocalHost", true),
            ("registry.example", true),
            ("Registry.Example:443", true),
            ("", false),
            ("evil.example:8000", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example", false),
            ("evil.example:127.0.0.1", false),
            ("10.0.0.1:8000", false),
            ("0.0.0.0:8000", false),
            ("[::]:8000", false),
            ("127.0.0.1:8000@evil.example", false),
            ("evil.example:8000, 127.0.0.1", false),
        ] {
            let answer = hosts.check(&request(&[("host", host)]));
            assert_eq!(answer.is_ok(), allowed, "{host}");
        }
        let two = [("host", "127.0.0.1"), ("host", "evil.example")];
        assert!(hosts.check(&request(&two)).is_err());
        assert!(hosts.check(&request(&[])).is_ok(), "HTTP/1.0");
    }

    #[test]
    fn only_pages_of_allowed_hosts_are_answered() {
        let hosts = AllowedHosts::new(&["registry.example".to_owned()], &origins());
        for (origin, allowed) in [
            ("http://127.0.0.1:8000", true),
            ("http://localhost:8000", true),
            ("http://[::1]:8000", true),
            ("http://localhost:3000", false),
            ("http://127.0.0.1", false),
            ("http://127.0.0.1:80000", false),
            ("https://console.example", true),
            ("https://console.example:8000", false),
            ("https://registry.example:8000", true),
            ("https://registry.example", false),
            ("https://evil.example", false),
            ("null", false),
            ("", false),
        ] {
            let headers = [("host", "127.0.0.1:8000"), ("origin", origin)];
            let answer = hosts.check(&request(&headers));
            assert_eq!(answer.is_ok(), allowed, "{origin}");
        }
        let behind_tls = [
            ("host", "registry.example"),
            ("origin", "https://registry.example"),
        ];
        assert!(hosts.check(&request(&behind_tls)).is_ok());
        let other_port = [
            ("host", "registry.example"),
            ("origin", "https://registry.example:444"),
        ];
        assert!(hosts.check(&request(&other_port)).is_err());
    }
}
