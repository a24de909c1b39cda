//! The memory of responses, until their clients have read them.

use std::sync::Arc;

use http_body_util::combinators::BoxBody;
use hyper::body::Body as _;
use poem::{Body, Request, Response};

use super::{Middleware, Next};
use crate::{database::Database, error::Error, memory::MAX_RESPONSE};

/// Reserves the memory of each response, and gives the rest back that its request has reserved. The server
/// keeps the response's extensions, and with them the reservation, until the response is sent.
pub(crate) struct ResponseMemory;

impl Middleware for ResponseMemory {
    async fn call(&self, request: Box<Request>, next: &Arc<impl Next>) -> poem::Result<Response> {
        let database = request.data::<Database>();
        let memory = database.and_then(Database::request_memory).cloned();
        let mut response = next.call(request).await?;
        let body = BoxBody::from(response.take_body());
        if let (Some(memory), Some(length)) = (memory, body.size_hint().exact()) {
            let length = usize::try_from(length).unwrap_or(MAX_RESPONSE);
            memory.set(length).map_err(|_| Error::Overloaded)?;
            response.extensions_mut().insert(memory);
        }
        response.set_body(Body::from(body));
        Ok(response)
    }
}
