//! The assembly: the API of every resource, the middleware in order, and the description.
//!
//! A request passes the middleware from the last `.wrap(…)` to the first. A new resource is added to
//! `service`, and each new operation to the table in `middleware/access.rs`.

use poem::{Endpoint, IntoEndpoint, Response, Route, endpoint::make_sync};
use poem_openapi::{OpenApi, OpenApiService};

use crate::{
    agents::AgentsApi,
    audit::AuditApi,
    circles::{CirclesApi, RosterCache},
    config::ServerSettings,
    conversations::{ConversationsApi, MessagesApi},
    database::Database,
    handles::HandlesApi,
    health::HealthApi,
    keys::{Keyring, KeysApi},
    lifecycle::Lifecycle,
    members::MembersApi,
    middleware::{
        AppState, Auth, ErrorResponses, Headers, NotModified, RateLimit, Readiness, RequestIds,
        RequestValidation, RetryRead, Routing, RunToCompletion, Wrap,
    },
    models::ModelsApi,
    openapi::{self, Documents},
    providers::ProvidersApi,
    write::InFlight,
};

fn service() -> OpenApiService<impl OpenApi + 'static, ()> {
    let api = (
        CirclesApi,
        MembersApi,
        HandlesApi,
        AgentsApi,
        ModelsApi,
        ProvidersApi,
        ConversationsApi,
        MessagesApi,
        AuditApi,
        KeysApi,
        HealthApi,
    );
    openapi::introduce(OpenApiService::new(
        api,
        "circle-registry",
        env!("CARGO_PKG_VERSION"),
    ))
}

/// The description as it is served and committed.
pub fn description() -> String {
    Documents::of(&service()).text
}

/// The endpoint that serves every request.
pub(crate) fn endpoint(
    settings: &ServerSettings,
    database: Database,
    lifecycle: Lifecycle,
) -> impl Endpoint<Output = Response> + use<> {
    let service = service();
    let documents = Documents::of(&service);
    let routing = Routing::new(&documents.description);
    let keyring = Keyring::new(settings.key_check_interval);
    let rate_limit = RateLimit::new(settings);
    let auth = Auth::new(settings, keyring.clone(), rate_limit.clone());
    let text = documents.text;
    let headers = Headers::new("/docs", &documents.html, &settings.cors_origin);
    Route::new()
        .at(
            "/openapi.json",
            make_sync(move |_| {
                Response::builder()
                    .content_type("application/json")
                    .body(text.clone())
            }),
        )
        .at(
            "/docs",
            make_sync(move |_| {
                Response::builder()
                    .content_type("text/html; charset=utf-8")
                    .body(documents.html.clone())
            }),
        )
        .nest("/", service)
        .into_endpoint()
        .wrap(NotModified)
        .wrap(RetryRead)
        .wrap(RunToCompletion::new(
            settings.request_timeout,
            settings.max_concurrent_requests,
        ))
        .wrap(RequestValidation::new())
        .wrap(rate_limit)
        .wrap(auth)
        .wrap(Readiness)
        .wrap(routing)
        .wrap(ErrorResponses)
        .wrap(headers)
        .wrap(RequestIds)
        .wrap(AppState {
            keyring,
            lifecycle,
            database,
            rosters: RosterCache::new(settings.roster_cache_mib),
            in_flight: InFlight::default(),
        })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use poem::{EndpointExt, Request, endpoint::make, http::Method};

    use super::*;
    use crate::http::PROBLEM_MEDIA_TYPE;

    async fn response_to(method: Method) -> (Response, String) {
        let operation = make(|_| async {
            panic!("the secret of the operation");
            #[expect(unreachable_code, reason = "gives the type of the result")]
            Ok::<(), poem::Error>(())
        });
        let endpoint = operation
            .map_to_response()
            .wrap(RunToCompletion::new(Duration::from_secs(10), 1))
            .wrap(Routing::new(&Documents::of(&service()).description))
            .wrap(ErrorResponses)
            .wrap(RequestIds);
        let request = Request::builder().method(method);
        let request = request.uri("/v1/circles".parse().expect("a path")).finish();
        let mut response = endpoint.get_response(request).await;
        let body = response.take_body().into_string().await.expect("text");
        (response, body)
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_that_reveals_nothing() {
        for method in [Method::GET, Method::POST] {
            let (response, body) = response_to(method).await;
            assert_eq!(response.status(), 500);
            assert_eq!(response.content_type(), Some(PROBLEM_MEDIA_TYPE));
            assert!(
                body.contains("\"code\":\"internal\"") && !body.contains("secret"),
                "{body}"
            );
        }
    }
}
