//! 304 Not Modified (RFC 9110, section 13.1.2).

use std::sync::Arc;

use poem::{
    Request, Response,
    http::{Method, StatusCode, header},
};

use super::{Middleware, Next};
use crate::{http::joined, revision};

/// Answers 304 if the request's `If-None-Match` names the response's `ETag`.
///
/// This covers every operation, and saves the transfer only: the response is made first. The roster
/// compares the tag itself as well, because there one indexed read replaces the load of all members.
pub(crate) struct NotModified;

impl Middleware for NotModified {
    async fn call(&self, request: Box<Request>, next: &Arc<impl Next>) -> poem::Result<Response> {
        let if_none_match = match *request.method() {
            // A field that can't be read names no state, and the whole response is always right.
            Method::GET | Method::HEAD => joined(request.headers(), &header::IF_NONE_MATCH).ok(),
            _ => None,
        };
        let mut response = next.call(request).await?;
        let etag = response.headers().get(header::ETAG);
        if let (Some(if_none_match), Some(etag)) = (if_none_match.flatten(), etag)
            && let Ok(etag) = etag.to_str()
            && response.status() == StatusCode::OK
            && revision::is_named(&if_none_match, etag)
        {
            response.set_status(StatusCode::NOT_MODIFIED);
            response.headers_mut().remove(header::CONTENT_TYPE);
            response.set_body(());
        }
        Ok(response)
    }
}
