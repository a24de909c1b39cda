//! The assembly: the API of every resource, the middleware in order, and the description.
//!
//! A request passes the middleware from the last `.wrap(…)` to the first. A new resource is added to
//! `service`, and each new operation to the table in `middleware/access.rs`.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use poem::{
    Endpoint, EndpointExt, IntoEndpoint, Request, Response,
    endpoint::{BoxEndpoint, make_sync},
    http::{Extensions, StatusCode, header},
};
use poem_openapi::{OpenApi, OpenApiService};

use crate::{
    agents::{AgentVersionsApi, AgentsApi},
    audit::AuditApi,
    changes::{ChangesApi, Events},
    circles::CirclesApi,
    config::ServerSettings,
    conversations::{ConversationsApi, MessagesApi},
    database::Database,
    documents::{self, DocumentsApi},
    exports::ExportsApi,
    handles::HandlesApi,
    health::HealthApi,
    http::SharedState,
    keys::{Keyring, KeysApi},
    lifecycle::Lifecycle,
    mcp_servers::McpServersApi,
    members::{MembersApi, jobs::MembershipsAtOnce},
    memory::MemoryBudget,
    metrics::Metrics,
    middleware::{
        Auth, BasePath, Compressed, ErrorResponses, HandlerState, Headers, JsonSchema, Middleware,
        Next, NotModified, Outermost, RateLimit, ReadReplicas, Readiness, RequestDatabase,
        RequestDuration, RequestIds, RequestValidation, ResponseMemory, Routing, RunToCompletion,
        Traced, Wrap,
    },
    models::ModelsApi,
    openapi::{self, Document, Documents},
    providers::ProvidersApi,
    releases::{LabelsApi, ReleasesApi},
    webhooks::{Webhooks, WebhooksApi},
    write::InFlight,
};

fn service() -> OpenApiService<impl OpenApi + 'static, ()> {
    let api = (
        CirclesApi,
        MembersApi,
        HandlesApi,
        ReleasesApi,
        // A tuple implements the trait up to sixteen.
        (LabelsApi, DocumentsApi, ExportsApi),
        AgentsApi,
        AgentVersionsApi,
        ModelsApi,
        ProvidersApi,
        McpServersApi,
        ConversationsApi,
        MessagesApi,
        (ChangesApi, WebhooksApi),
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

static DOCUMENTS: LazyLock<Documents> = LazyLock::new(|| Documents::of(&service()));

/// The description as it is served and committed.
pub fn description() -> String {
    String::from_utf8_lossy(DOCUMENTS.json.text()).into_owned()
}

/// The JSON Schema of documents as it is served and committed.
pub fn document_schema() -> String {
    String::from_utf8_lossy(DOCUMENT_SCHEMA.text()).into_owned()
}

static DOCUMENT_SCHEMA: LazyLock<Document> = LazyLock::new(|| {
    let schema = openapi::json_schema::<documents::RegistryDocument>("circle-registry document");
    Document::new("application/schema+json", schema)
});

/// The schema of a request body, by its name in the description.
pub(crate) fn input_schema(name: &str) -> JsonSchema {
    let description = &DOCUMENTS.description;
    JsonSchema::compile(&description["components"]["schemas"][name], description)
}

/// The icon of the pages in the browser's tabs.
const ICON: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6" fill="none" stroke="#365bc9" stroke-width="3"/></svg>"##;

/// What is served besides the operations, by its path.
struct Pages(BTreeMap<&'static str, BoxEndpoint<'static>>);

impl Pages {
    fn new(base_path: Option<&str>) -> Self {
        let icon = make_sync(|_| {
            let response = Response::builder().content_type("image/svg+xml");
            let response = response.header(header::CACHE_CONTROL, "max-age=86400");
            response.body(ICON)
        });
        // A browser that asks for the root is sent to Swagger UI.
        let root = make_sync(|_| {
            let response = Response::builder().status(StatusCode::TEMPORARY_REDIRECT);
            response.header(header::LOCATION, "/docs").finish()
        });
        Self(BTreeMap::from([
            (
                "/openapi.json",
                DOCUMENTS.json_at(base_path).endpoint().boxed(),
            ),
            ("/schemas/document.json", DOCUMENT_SCHEMA.endpoint().boxed()),
            ("/docs", DOCUMENTS.page.endpoint().boxed()),
            ("/favicon.ico", icon.boxed()),
            ("/", root.boxed()),
        ]))
    }

    fn paths(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
}

impl Middleware for Pages {
    async fn call(&self, request: Box<Request>, next: &Arc<impl Next>) -> poem::Result<Response> {
        match self.0.get(request.uri().path()) {
            Some(page) => Endpoint::call(page, *request).await,
            None => next.call(request).await,
        }
    }
}

/// What handlers share with tasks of the application.
pub(crate) struct Services {
    pub(crate) keyring: Keyring,
    pub(crate) events: Events,
    pub(crate) webhooks: Webhooks,
}

/// The endpoint that serves every request.
pub(crate) fn endpoint(
    settings: &ServerSettings,
    database: Database,
    lifecycle: Lifecycle,
    metrics: Metrics,
    services: Services,
) -> impl Endpoint<Output = Response> + use<> {
    let Services {
        keyring,
        events,
        webhooks,
    } = services;
    let base_path = settings.base_path.as_deref();
    let pages = Pages::new(base_path);
    let routing = Routing::new(&DOCUMENTS.description, pages.paths());
    let rate_limit = RateLimit::new(settings);
    let auth = Auth::new(settings, keyring.clone(), rate_limit.clone());
    let page = String::from_utf8_lossy(DOCUMENTS.page.text());
    let headers = Headers::new("/docs", &page, &settings.cors_origin);
    let mut shared = Extensions::new();
    shared.insert(events);
    shared.insert(webhooks);
    shared.insert(keyring);
    shared.insert(lifecycle.clone());
    shared.insert(metrics.bodies.clone());
    shared.insert(InFlight::default());
    shared.insert(MembershipsAtOnce(settings.memberships_at_once));
    shared.insert(metrics.clone());
    let middleware = service()
        .into_endpoint()
        .wrap(pages)
        .wrap(HandlerState(SharedState::new(shared)))
        .wrap(NotModified)
        .wrap(ReadReplicas::new(metrics.replicas))
        .wrap(Compressed::new(!settings.no_compression))
        .wrap(RunToCompletion::new(
            settings.request_timeout,
            settings.max_concurrent_requests,
        ))
        .wrap(ResponseMemory)
        .wrap(RequestValidation::new())
        .wrap(rate_limit)
        .wrap(auth)
        .wrap(Readiness(lifecycle))
        .wrap(RequestDuration(metrics.requests.clone()))
        .wrap(Traced(metrics.traces))
        .wrap(routing)
        .wrap(ErrorResponses(metrics.requests))
        .wrap(headers)
        .wrap(RequestIds::new(settings))
        .wrap(BasePath::new(base_path))
        .wrap(RequestDatabase {
            database,
            memory: MemoryBudget::new(settings.response_memory_mib),
        });
    Outermost(middleware)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use poem::{EndpointExt, endpoint::make, http::Method};

    use super::*;
    use crate::{http::PROBLEM_MEDIA_TYPE, metrics::RequestMetrics};

    async fn response_to(method: Method) -> (Response, String) {
        let operation = make(|_| async {
            panic!("the secret of the operation");
            #[expect(unreachable_code, reason = "gives the type of the result")]
            Ok::<(), poem::Error>(())
        });
        let endpoint = operation
            .map_to_response()
            .wrap(RunToCompletion::new(Duration::from_secs(10), 1))
            .wrap(Routing::new(&DOCUMENTS.description, []))
            .wrap(ErrorResponses(RequestMetrics::default()))
            .wrap(RequestIds::default());
        let endpoint = Outermost(endpoint);
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
