//! While the database or its schema is not there, what needs it is refused at once.

use poem::{Endpoint, IntoResponse, Middleware, Request, Response};

use crate::{
    error::Error,
    lifecycle::{Lifecycle, Phase},
};

/// The answer until the database is there.
pub(crate) fn check(phase: Phase) -> Result<(), Error> {
    let detail = match phase {
        Phase::Starting => "The service is starting and brings its database up to date.",
        Phase::Waiting(reason) => reason,
        Phase::Ready | Phase::Draining => return Ok(()),
    };
    Err(Error::NotReady {
        code: "starting",
        detail,
    })
}

/// What is answered without the database.
const FIGURES: [&str; 2] = ["/v1/pool", "/v1/cache"];

pub(crate) struct Gate;

impl<E: Endpoint> Middleware<E> for Gate {
    type Output = GateEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        GateEndpoint(inner)
    }
}

pub(crate) struct GateEndpoint<E>(E);

impl<E: Endpoint> Endpoint for GateEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let path = request.uri().path();
        if path.starts_with("/v1/")
            && !FIGURES.contains(&path)
            && let Some(lifecycle) = request.data::<Lifecycle>()
        {
            check(lifecycle.phase())?;
        }
        self.0.call(request).await.map(IntoResponse::into_response)
    }
}
