//! A read that met a dead database connection is repeated once, on another connection: clients need
//! not know that a pooled connection died while it was idle.

use std::sync::Arc;

use poem::{Body, Request, RequestParts, Response};
use sea_orm::DbErr;

use super::{Middleware, Next};
use crate::{
    database::Database,
    error::{DatabaseCause, Error},
};

pub(crate) struct RetryRead;

impl Middleware for RetryRead {
    async fn call(&self, request: Box<Request>, next: &Arc<impl Next>) -> poem::Result<Response> {
        match request.data::<Database>().cloned() {
            Some(database) if request.method().is_safe() => {
                let (head, _unread_body) = request.into_parts();
                let read = || next.call(without_body(&head));
                database.retry_once(read).await
            }
            _ => next.call(request).await,
        }
    }
}

/// A copy of the request. The operations that only read take no body.
pub(super) fn without_body(head: &RequestParts) -> Box<Request> {
    let mut request = Request::builder()
        .method(head.method.clone())
        .uri(head.uri.clone())
        .version(head.version)
        .body(Body::empty());
    request.headers_mut().clone_from(&head.headers);
    request.extensions_mut().clone_from(&head.extensions);
    Box::new(request)
}

impl DatabaseCause for poem::Error {
    fn database_cause(&self) -> Option<&DbErr> {
        self.downcast_ref::<Error>()?.database_cause()
    }
}
