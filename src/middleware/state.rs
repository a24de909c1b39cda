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
    fn call(
        &self,
        mut request: Request,
        next: &Arc<impl Next>,
    ) -> impl Future<Output = poem::Result<Response>> + Send {
        let memory: RequestMemory = self.memory.of_request();
        request.set_data(self.database.for_request(memory.clone()));
        request.set_data(memory);
        next.call(request)
    }
}

/// What only handlers need. It is set inside of `RetryRead`, which copies all that is set outside of it.
#[derive(Clone, Debug)]
pub(crate) struct HandlerState(pub(crate) SharedState);

impl Middleware for HandlerState {
    fn call(
        &self,
        mut request: Request,
        next: &Arc<impl Next>,
    ) -> impl Future<Output = poem::Result<Response>> + Send {
        request.set_data(self.0.clone());
        next.call(request)
    }
}
