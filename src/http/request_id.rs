//! The name and the log line of a request.

use std::{fmt, time::Instant};

use poem::{
    Endpoint, IntoResponse, Middleware, Request, Response,
    http::{HeaderValue, header::HeaderName},
};
use poem_openapi::OperationId;
use tracing::{Instrument, field};
use uuid::Uuid;

/// Where a request id comes in and goes out.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The caller's id for a request, or else a new one: 1 to 128 visible ASCII characters.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    const MAX_LENGTH: usize = 128;

    fn from_caller(value: &HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes();
        let sound =
            (1..=Self::MAX_LENGTH).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
        sound.then(|| Self(value.clone()))
    }

    fn new() -> Self {
        let id = Uuid::now_v7().to_string();
        Self(HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("-")))
    }

    /// The id that [`RequestIds`] gave this request.
    pub(crate) fn of(request: &Request) -> Self {
        request.data::<Self>().cloned().unwrap_or_else(Self::new)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or("-"))
    }
}

/// Gives every request an id, a span that carries it to each log line, and a line of its own.
pub(crate) struct RequestIds;

impl<E: Endpoint> Middleware<E> for RequestIds {
    type Output = RequestIdsEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        RequestIdsEndpoint(inner)
    }
}

pub(crate) struct RequestIdsEndpoint<E>(E);

impl<E: Endpoint> Endpoint for RequestIdsEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let id = request
            .headers()
            .get(HEADER)
            .and_then(RequestId::from_caller)
            .unwrap_or_else(RequestId::new);
        request.set_data(id.clone());
        let span = tracing::info_span!(
            "request",
            id = %id,
            method = %request.method(),
            path = request.uri().path(),
            operation = field::Empty,
            key = field::Empty,
        );
        let started = Instant::now();
        let mut response = async {
            let response = self
                .0
                .call(request)
                .await
                .map_or_else(poem::Error::into_response, IntoResponse::into_response);
            if let Some(OperationId(operation)) = response.data() {
                tracing::Span::current().record("operation", operation);
            }
            tracing::info!(
                status = response.status().as_u16(),
                elapsed_us = started.elapsed().as_micros(),
                "answered"
            );
            response
        }
        .instrument(span)
        .await;
        response.headers_mut().insert(HEADER, id.0);
        Ok(response)
    }
}
