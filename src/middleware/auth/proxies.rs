//! Requests that come through a proxy.
//!
//! A service without keys serves the clients on its own machine. A proxy there is such a client, although its
//! requests come from anywhere. The header fields that proxies add give them away.

use poem::{
    Request,
    http::{Version, header},
};

use crate::http::RequestError;

/// Header fields that proxies add, besides all that begin with [`FORWARDED_PREFIX`].
const FIELDS: [&str; 11] = [
    "cdn-loop",
    "cf-connecting-ip",
    "client-ip",
    "fly-client-ip",
    "forwarded",
    "true-client-ip",
    "via",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "x-real-ip",
];

const FORWARDED_PREFIX: &str = "x-forwarded";

/// # Errors
/// The request came through a proxy. HTTP/1.0 counts as a sign of one: it is what nginx speaks by
/// default, without any of the fields, and what hardly any other client does.
pub(super) fn check(request: &Request) -> Result<(), RequestError> {
    let is_field = |name: &header::HeaderName| {
        FIELDS.contains(&name.as_str()) || name.as_str().starts_with(FORWARDED_PREFIX)
    };
    if request.version() < Version::HTTP_11 || request.headers().keys().any(is_field) {
        return Err(RequestError::Proxied);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_came_through_a_proxy_is_refused() {
        let direct = [
            "host",
            "origin",
            "x-request-id",
            "user-agent",
            "forwarding",
            "via-x",
        ];
        for name in direct {
            let request = Request::builder().header(name, "x").finish();
            assert!(check(&request).is_ok(), "{name}");
        }
        let proxied = [
            "Forwarded",
            "X-Forwarded-For",
            "X-Forwarded-Anything",
            "X-Forwarded",
            "X-Real-IP",
            "Via",
            "CF-Connecting-IP",
        ];
        for name in proxied {
            let request = Request::builder().header(name, "").finish();
            assert!(check(&request).is_err(), "{name}");
        }
        let old = Request::builder().version(Version::HTTP_10).finish();
        assert!(check(&old).is_err(), "HTTP/1.0");
    }
}
