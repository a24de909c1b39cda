//! Names every request, and logs it.

use std::time::Instant;

use poem::{Endpoint, IntoResponse, Middleware, Request, Response};
use poem_openapi::OperationId;
use tracing::{Instrument, field};

use crate::http::RequestId;

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
            .get(RequestId::HEADER)
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
        response.headers_mut().insert(RequestId::HEADER, id.into());
        Ok(response)
    }
}
