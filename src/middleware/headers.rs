//! What browsers are told beside every answer: to take it for what it says it is, to frame it
//! nowhere, to run nothing in it, and which pages of other sites may read it.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use poem::{
    Endpoint, IntoResponse, Middleware, Request, Response,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
};
use sha2::{Digest, Sha256};

use crate::config::Origin;

/// An answer that is no page has nothing to load.
const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Request-Id",
);
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "ETag, Idempotency-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, \
     Suspected-Secret, X-Request-Id",
);
const REFERRER_POLICY: HeaderName = HeaderName::from_static("referrer-policy");

/// Adds the headers, and answers browsers that ask whether a page may ask.
#[derive(Clone, Debug)]
pub(crate) struct Headers {
    /// The one page there is, and what it may load.
    page: &'static str,
    page_policy: HeaderValue,
    origins: Arc<[Origin]>,
}

impl Headers {
    pub(crate) fn new(page: &'static str, html: &str, origins: &[Origin]) -> Self {
        let policy = page_policy(html);
        Self {
            page,
            page_policy: HeaderValue::try_from(policy).unwrap_or(NOTHING),
            origins: origins.into(),
        }
    }

    /// The origin that a request comes from, where it is one of those that are listed.
    fn listed(&self, request: &Request) -> Option<HeaderValue> {
        let origin = request.headers().get(header::ORIGIN)?;
        let is_it = |listed: &Origin| listed.as_str().as_bytes() == origin.as_bytes();
        self.origins.iter().any(is_it).then(|| origin.clone())
    }

    fn add(&self, headers: &mut HeaderMap, path: &str, origin: Option<HeaderValue>) {
        let policy = if path == self.page {
            self.page_policy.clone()
        } else {
            NOTHING
        };
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if path == "/v1/keys" || path.starts_with("/v1/keys/") {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if !self.origins.is_empty() {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
        }
    }
}

/// Only the scripts that are in the page run, and it asks this service alone. Swagger UI sets styles
/// on its elements as it goes, so those can't be named beforehand.
fn page_policy(html: &str) -> String {
    let scripts = inline_scripts(html).map(|script| {
        let hash = BASE64_STANDARD.encode(Sha256::digest(script));
        format!(" 'sha256-{hash}'")
    });
    format!(
        "default-src 'none'; script-src{}; style-src 'unsafe-inline'; img-src 'self' data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        scripts.collect::<String>()
    )
}

/// The texts of a page's scripts, as a browser finds them.
fn inline_scripts(html: &str) -> impl Iterator<Item = String> {
    let mut rest = html;
    std::iter::from_fn(move || {
        let (_, from_tag) = rest.split_once("<script")?;
        let (_, from_text) = from_tag.split_once('>')?;
        let (script, after) = from_text.split_once("</script>")?;
        rest = after;
        Some(script.replace("\r\n", "\n"))
    })
}

/// Whether a browser asks on behalf of a page before it sends the page's request.
fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight() -> Response {
    StatusCode::NO_CONTENT
        .with_header(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS)
        .with_header(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS)
        .with_header(header::ACCESS_CONTROL_MAX_AGE, "600")
        .into_response()
}

impl<E: Endpoint> Middleware<E> for Headers {
    type Output = HeadersEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        HeadersEndpoint {
            inner,
            headers: self.clone(),
        }
    }
}

pub(crate) struct HeadersEndpoint<E> {
    inner: E,
    headers: Headers,
}

impl<E: Endpoint> Endpoint for HeadersEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let path = request.uri().path().to_owned();
        let origin = self.headers.listed(&request);
        let mut response = if origin.is_some() && is_preflight(&request) {
            preflight()
        } else {
            self.inner.call(request).await?.into_response()
        };
        self.headers.add(response.headers_mut(), &path, origin);
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_of_a_page_names_the_scripts_in_it() {
        let html = "<script a=\"b\">let a;</script><p/><script>let\r\nb;</script>";
        let scripts: Vec<String> = inline_scripts(html).collect();
        assert_eq!(scripts, ["let a;", "let\nb;"]);
        let policy = page_policy(html);
        assert_eq!(policy.matches("'sha256-").count(), 2, "{policy}");
    }
}
