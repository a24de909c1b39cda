//! Security headers and CORS.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use poem::{
    IntoResponse, Request, Response,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
};
use sha2::{Digest, Sha256};

use super::{Middleware, Next};
use crate::config::CorsOrigin;

/// The policy of responses that are not pages: they load nothing.
const LOAD_NOTHING: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, Cache-Control, Content-Type, Database-Position, Idempotency-Key, If-Match, \
     If-None-Match, Last-Event-ID, Traceparent, Tracestate, X-Request-Id",
);
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "Database-Position, ETag, Idempotency-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, \
     Suspected-Secret, X-Request-Id",
);
const REFERRER_POLICY: HeaderName = HeaderName::from_static("referrer-policy");

/// Adds the headers to every response, and answers CORS preflight requests.
#[derive(Debug)]
pub(crate) struct Headers {
    /// The path of the one page that is served.
    page: &'static str,
    page_policy: HeaderValue,
    allowed_origins: Vec<CorsOrigin>,
}

impl Headers {
    pub(crate) fn new(page: &'static str, html: &str, allowed_origins: &[CorsOrigin]) -> Self {
        let policy = page_policy(html);
        Self {
            page,
            page_policy: HeaderValue::try_from(policy).unwrap_or(LOAD_NOTHING),
            allowed_origins: allowed_origins.to_vec(),
        }
    }

    /// The request's origin, if it is allowed.
    fn allowed_origin(&self, request: &Request) -> Option<HeaderValue> {
        let origin = request.headers().get(header::ORIGIN)?;
        let is_same = |allowed: &CorsOrigin| allowed.as_str().as_bytes() == origin.as_bytes();
        let is_allowed = self.allowed_origins.iter().any(is_same);
        is_allowed.then(|| origin.clone())
    }

    fn add(&self, headers: &mut HeaderMap, path: &str, origin: Option<HeaderValue>) {
        let policy = if path == self.page {
            self.page_policy.clone()
        } else {
            LOAD_NOTHING
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
        if !self.allowed_origins.is_empty() {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
        }
    }
}

/// Allows the page's own inline scripts, and requests to this service. Swagger UI sets styles on
/// elements at run time, so styles can't be listed by hash.
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

/// The page's scripts as a browser hashes them, with line ends normalized.
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

impl Middleware for Headers {
    async fn call(&self, request: Box<Request>, next: &Arc<impl Next>) -> poem::Result<Response> {
        let path = request.uri().path().to_owned();
        let origin = self.allowed_origin(&request);
        let mut response = if origin.is_some() && is_preflight(&request) {
            preflight()
        } else {
            next.call(request).await?
        };
        self.add(response.headers_mut(), &path, origin);
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
