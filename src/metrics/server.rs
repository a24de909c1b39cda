//! The metrics at an address of their own, which only those who collect them reach.

use poem::{Endpoint, IntoResponse, Response, endpoint::make, http::StatusCode};

use super::Metrics;

/// Serves `/metrics` to anyone, and nothing else.
pub(crate) fn endpoint(metrics: Metrics) -> impl Endpoint<Output = Response> {
    make(move |request| {
        let metrics = metrics.clone();
        async move {
            let is_asked_for = request.uri().path() == "/metrics" && request.method().is_safe();
            let response: Response = if is_asked_for {
                match metrics.to_text().await {
                    Ok(text) => text.into_response(),
                    Err(error) => {
                        tracing::error!(cause = %error, "the metrics can't be written");
                        StatusCode::INTERNAL_SERVER_ERROR.into()
                    }
                }
            } else {
                StatusCode::NOT_FOUND.into()
            };
            Ok::<Response, poem::Error>(response)
        }
    })
}
