//! The id of a request, and the log line of its response.

use std::{sync::Arc, time::Instant};

use poem::{Request, Response};
use poem_openapi::OperationId;
use tracing::{Instrument, field};

use super::{Middleware, Next, client_address::TrustedProxies};
use crate::{
    config::ServerSettings,
    http::{ClientAddress, RequestId},
    telemetry,
};

/// Gives every request an id, a span that carries the id to each log line, and a log line of its own.
#[derive(Debug, Default)]
pub(crate) struct RequestIds {
    proxies: TrustedProxies,
}

impl RequestIds {
    pub(crate) fn new(settings: &ServerSettings) -> Self {
        Self {
            proxies: TrustedProxies::new(&settings.trusted_proxy),
        }
    }
}

impl Middleware for RequestIds {
    async fn call(
        &self,
        mut request: Box<Request>,
        next: &Arc<impl Next>,
    ) -> poem::Result<Response> {
        let id = request
            .headers()
            .get(RequestId::HEADER)
            .and_then(RequestId::from_client)
            .unwrap_or_else(RequestId::new);
        request.set_data(id.clone());
        let client = self.proxies.client_of(&request);
        if let Some(client) = client {
            request.set_data(client);
        }
        let span = tracing::info_span!(
            "request",
            id = %id,
            method = %request.method(),
            path = request.uri().path(),
            operation = field::Empty,
            key = field::Empty,
            trace_id = field::Empty,
        );
        let started = Instant::now();
        let mut response = async {
            let response = next.call(request).await;
            let response = response.unwrap_or_else(poem::Error::into_response);
            if let Some(OperationId(operation)) = response.data() {
                tracing::Span::current().record("operation", operation);
            }
            let is_rejected = matches!(response.status().as_u16(), 401 | 403 | 429);
            let client = client.filter(|_| is_rejected);
            tracing::info!(
                client = client.map(|ClientAddress(address)| field::display(address)),
                status = response.status().as_u16(),
                elapsed_us = telemetry::micros(started.elapsed()),
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
