//! 304 for a client that has what it asks for (RFC 9110, section 13.1.2).

use poem::{
    Endpoint, IntoResponse, Middleware, Request, Response,
    http::{Method, StatusCode, header},
};

use crate::revision;

/// Holds the tag of every answer against the request's `If-None-Match`.
pub(crate) struct NotModified;

impl<E: Endpoint> Middleware<E> for NotModified {
    type Output = NotModifiedEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        NotModifiedEndpoint(inner)
    }
}

pub(crate) struct NotModifiedEndpoint<E>(E);

impl<E: Endpoint> Endpoint for NotModifiedEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let named = match *request.method() {
            Method::GET | Method::HEAD => request.headers().get(header::IF_NONE_MATCH).cloned(),
            _ => None,
        };
        let mut response = self.0.call(request).await?.into_response();
        let tag = response.headers().get(header::ETAG);
        if let (Some(named), Some(tag)) = (named, tag)
            && let (Ok(named), Ok(tag)) = (named.to_str(), tag.to_str())
            && response.status() == StatusCode::OK
            && revision::is_named(named, tag)
        {
            response.set_status(StatusCode::NOT_MODIFIED);
            response.headers_mut().remove(header::CONTENT_TYPE);
            response.set_body(());
        }
        Ok(response)
    }
}
