//! The host names that a service without keys answers to.
//!
//! A page from anywhere can have a browser resolve its own host name to 127.0.0.1 (DNS rebinding), or
//! submit a form there. The headers reveal both: `Host` names another host, or `Origin` another site.

use std::net::IpAddr;

use poem::{
    Request,
    http::{HeaderMap, header},
};

use crate::http::RequestError;

/// The names of the loopback interface, and those that the operator lists.
#[derive(Clone, Debug)]
pub(super) struct AllowedHosts {
    listed: Vec<String>,
}

impl AllowedHosts {
    pub(super) fn new(listed: &[String]) -> Self {
        Self {
            listed: listed.to_vec(),
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
        if !origins.all(|origin| {
            origin
                .split_once("://")
                .is_some_and(|(_, host)| self.contains(host))
        }) {
            return Err(RequestError::Origin);
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.finish()
    }

    #[test]
    fn only_loopback_and_listed_names_are_answered() {
        let hosts = AllowedHosts::new(&["registry.example".to_owned()]);
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
        let hosts = AllowedHosts::new(&["registry.example".to_owned()]);
        for (origin, allowed) in [
            ("http://127.0.0.1:8000", true),
            ("http://localhost:3000", true),
            ("https://registry.example", true),
            ("https://evil.example", false),
            ("null", false),
            ("", false),
        ] {
            let headers = [("host", "127.0.0.1:8000"), ("origin", origin)];
            let answer = hosts.check(&request(&headers));
            assert_eq!(answer.is_ok(), allowed, "{origin}");
        }
    }
}
