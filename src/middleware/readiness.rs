//! Until the database is there and its schema is current, operations that need it get 503 at once.

use std::sync::Arc;

use poem::{Request, Response};

use super::{ApiOperation, Middleware, Next};
use crate::lifecycle::Lifecycle;

pub(crate) struct Readiness(pub(crate) Lifecycle);

impl Middleware for Readiness {
    async fn call(&self, request: Box<Request>, next: &Arc<impl Next>) -> poem::Result<Response> {
        if !ApiOperation::of(&request)?.is_always_served() {
            self.0.check_started()?;
        }
        next.call(request).await
    }
}
