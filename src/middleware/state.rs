//! What requests share: handlers and middleware read it from a request by its type.

use std::sync::Arc;

use poem::{Request, Response};

use super::{Middleware, Next};
use crate::{database::Database, http::SharedState, memory::MemoryBudget};

/// What middleware needs too: the [`Database`] of each request, which has its memory.
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
        let memory = self.memory.of_request();
        let only_reads = request.method().is_safe();
        request.set_data(self.database.for_request(memory, only_reads));
        next.call(request).await
    }
}

/// What only handlers need. It is set inside of `ReadReplicas`, which copies all that is set outside of it.
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
