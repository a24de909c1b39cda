//! What requests share: handlers and middleware read it from a request by its type.

use std::sync::Arc;

use poem::{Request, Response};

use super::{Middleware, Next};
use crate::{
    database::Database,
    http::SharedState,
    memory::{MemoryBudget, RequestMemory},
};

/// What middleware needs too: the [`Database`] and the [`RequestMemory`] of each request.
#[derive(Clone, Debug)]
pub(crate) struct RequestDatabase {
    pub(crate) database: Database,
    pub(crate) memory: MemoryBudget,
}

impl Middleware for RequestDatabase {
    async fn call(
        &self,
        mut request: Box<Request>,
        next: &Arc<impl Next>,
    ) -> poem::Result<Response> {
        let memory: RequestMemory = self.memory.of_request();
        request.set_data(self.database.for_request(memory.clone()));
        request.set_data(memory);
        next.call(request).await
    }
}

/// What only handlers need. It is set inside of `RetryRead`, which copies all that is set outside of it.
#[derive(Clone, Debug)]
pub(crate) struct HandlerState(pub(crate) SharedState);

impl Middleware for HandlerState {
    async fn call(
        &self,
        mut request: Box<Request>,
        next: &Arc<impl Next>,
    ) -> poem::Result<Response> {
        request.set_data(self.0.clone());
        next.call(request).await
    }
}
