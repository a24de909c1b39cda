//! Compressed responses (RFC 9110, sections 8.4 and 12.5.3), and entity tags that stay usable with them.
//!
//! A strong tag identifies bytes, so that the compressed form of a response has one of its own (section 8.8.3): that
//! of the other with `-gzip` at its end. What identifies the state is the part before it, so that as an `If-Match`
//! both mean the same.

use std::sync::Arc;

use http_body_util::combinators::BoxBody;
use hyper::body::Body as _;
use poem::{
    Body, Request, Response,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};

use super::{Middleware, Next};
use crate::{
    http::{Gzipped, accepts_gzip, gzip, is_compressible, joined},
    revision,
};

/// The end of the tag of a compressed response.
const TAG_END: &str = "-gzip\"";

/// Compresses responses whose length is known; those that are streamed stay as they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compressed {
    is_enabled: bool,
}

impl Compressed {
    pub(crate) fn new(is_enabled: bool) -> Self {
        Self { is_enabled }
    }

    fn vary(self, response: &mut Response) {
        if self.is_enabled {
            let encoding = HeaderValue::from_static("Accept-Encoding");
            response.headers_mut().append(header::VARY, encoding);
        }
    }
}

impl Middleware for Compressed {
    async fn call(
        &self,
        mut request: Box<Request>,
        next: &Arc<impl Next>,
    ) -> poem::Result<Response> {
        // Tags of an instance that compresses are known to one that does not.
        let known = accept_tags_of_gzip(request.headers_mut());
        if !self.is_enabled {
            request.headers_mut().remove(header::ACCEPT_ENCODING);
        }
        let accepts = accepts_gzip(request.headers());
        let mut response = next.call(request).await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            if let Some(known) = known {
                name_as_known(response.headers_mut(), &known);
            }
            self.vary(&mut response);
        } else if response.status().is_success() && is_long(&mut response) {
            self.vary(&mut response);
            if accepts {
                compress(&mut response).await?;
            }
        }
        Ok(response)
    }
}

/// Whether the body is long enough to be compressed. The length of what is streamed is not known.
fn is_long(response: &mut Response) -> bool {
    let body = BoxBody::from(response.take_body());
    let length = body.size_hint().exact();
    response.set_body(Body::from(body));
    let length = length.and_then(|length| usize::try_from(length).ok());
    length.is_some_and(is_compressible)
}

async fn compress(response: &mut Response) -> poem::Result<()> {
    let text = response.take_body().into_bytes().await?;
    let compressed = match response.extensions_mut().remove::<Gzipped>() {
        Some(Gzipped(kept)) => Some(kept),
        None => gzip(&text).await,
    };
    let Some(compressed) = compressed else {
        response.set_body(text);
        return Ok(());
    };
    response.set_body(compressed);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    if let Some(tag) = tag_in(headers).and_then(|tag| tag_of_gzip(&tag)) {
        headers.insert(header::ETAG, tag);
    }
    Ok(())
}

/// Shortens the tags of compressed responses in `If-None-Match` to those that handlers know, and returns the
/// field as it was sent.
fn accept_tags_of_gzip(headers: &mut HeaderMap) -> Option<String> {
    let mut lines = headers.get_all(header::IF_NONE_MATCH).iter();
    if !lines.any(|line| line.to_str().is_ok_and(|line| line.contains(TAG_END))) {
        return None;
    }
    let sent = joined(headers, &header::IF_NONE_MATCH).ok().flatten()?;
    let shortened = HeaderValue::try_from(sent.replace(TAG_END, "\"")).ok()?;
    headers.insert(header::IF_NONE_MATCH, shortened);
    Some(sent)
}

/// Names the response that the client has, if that is the compressed one.
fn name_as_known(headers: &mut HeaderMap, known: &str) {
    if let Some(tag) = tag_in(headers)
        && !revision::is_named(known, &tag)
        && let Some(tag) = tag_of_gzip(&tag)
    {
        headers.insert(header::ETAG, tag);
    }
}

fn tag_in(headers: &HeaderMap) -> Option<String> {
    let tag = headers.get(header::ETAG)?.to_str().ok()?;
    Some(tag.to_owned())
}

fn tag_of_gzip(tag: &str) -> Option<HeaderValue> {
    let start = tag.strip_suffix('"')?;
    HeaderValue::try_from(format!("{start}{TAG_END}")).ok()
}
