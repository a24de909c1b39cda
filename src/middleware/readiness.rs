//! While the database or its schema is not there, what needs it is refused at once.

use poem::{Endpoint, IntoResponse, Middleware, Request, Response};

use crate::lifecycle::Lifecycle;

/// What is answered without the database.
const FIGURES: [&str; 2] = ["/v1/pool", "/v1/cache"];

pub(crate) struct Readiness;

impl<E: Endpoint> Middleware<E> for Readiness {
    type Output = ReadinessEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        ReadinessEndpoint(inner)
    }
}

pub(crate) struct ReadinessEndpoint<E>(E);

impl<E: Endpoint> Endpoint for ReadinessEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let path = request.uri().path();
        if path.starts_with("/v1/")
            && !FIGURES.contains(&path)
            && let Some(lifecycle) = request.data::<Lifecycle>()
        {
            lifecycle.check_started()?;
        }
        self.0.call(request).await.map(IntoResponse::into_response)
    }
}
