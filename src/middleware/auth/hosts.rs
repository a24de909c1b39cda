//! By which names a service without keys answers.
//!
//! A page from anywhere can make a browser look its own host name up again and find 127.0.0.1 (DNS
//! rebinding), or post a form there. What gives either away is the name: the request says for which
//! host it is meant, and from which site it comes.

use std::net::IpAddr;

use poem::{
    Request,
    http::{HeaderMap, header},
};

use crate::http::RequestError;

/// Loopback's own names, and those that the operator lists.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    listed: Vec<String>,
}

impl Hosts {
    pub(super) fn new(listed: &[String]) -> Self {
        Self {
            listed: listed.to_vec(),
        }
    }

    /// # Errors
    /// A request that is meant for another host, or that a page of another site has made.
    pub(super) fn admit(&self, request: &Request) -> Result<(), RequestError> {
        let in_target = request.uri().host();
        if !values(request.headers(), header::HOST)
            .chain(in_target)
            .all(|host| self.has(host))
        {
            return Err(RequestError::Host);
        }
        let mut origins = values(request.headers(), header::ORIGIN);
        if !origins.all(|origin| {
            origin
                .split_once("://")
                .is_some_and(|(_, host)| self.has(host))
        }) {
            return Err(RequestError::Origin);
        }
        Ok(())
    }

    fn has(&self, host: &str) -> bool {
        let name = without_port(host);
        let is_loopback = |name: &str| {
            let name = name.trim_start_matches('[').trim_end_matches(']');
            name.parse()
                .is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
        };
        name.eq_ignore_ascii_case("localhost")
            || is_loopback(name)
            || self.listed.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

/// What can't be read is another host's.
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
        let hosts = Hosts::new(&["registry.example".to_owned()]);
        for (host, admitted) in [
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
            let answer = hosts.admit(&request(&[("host", host)]));
            assert_eq!(answer.is_ok(), admitted, "{host}");
        }
        let two = [("host", "127.0.0.1"), ("host", "evil.example")];
        assert!(hosts.admit(&request(&two)).is_err());
        assert!(hosts.admit(&request(&[])).is_ok(), "a client of old");
    }

    #[test]
    fn only_pages_from_there_may_ask() {
        let hosts = Hosts::new(&["registry.example".to_owned()]);
        for (origin, admitted) in [
            ("http://127.0.0.1:8000", true),
            ("http://localhost:3000", true),
            ("https://registry.example", true),
            ("https://evil.example", false),
            ("null", false),
            ("", false),
        ] {
            let headers = [("host", "127.0.0.1:8000"), ("origin", origin)];
            let answer = hosts.admit(&request(&headers));
            assert_eq!(answer.is_ok(), admitted, "{origin}");
        }
    }
}
