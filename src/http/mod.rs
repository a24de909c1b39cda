//! The HTTP layer: what is around the resources. From the outside in, a request passes
//! `request_id` (its name and its log line), `headers` (what browsers are told), `problem` (the one place where errors become
//! answers), `auth` (who is asking, and whether they may), `contract` (nothing undeclared gets in),
//! and `detach` (a write runs to its end).

mod answer;
mod body;
mod contract;
mod detach;
mod gate;
mod headers;
mod health;
mod json;
mod not_modified;
mod openapi;
mod payload;
mod problem;
mod repeat;
mod request_id;
mod schema;
mod shared;
mod written;

use poem::{Endpoint, EndpointExt, IntoEndpoint, Response, Route, endpoint::make_sync};
use poem_openapi::{OpenApiService, Tags};

pub(crate) use answer::{Answer, Created, Kept, Repeatable, Tagged, Untagged};
pub(crate) use body::read_away;
pub(crate) use contract::Contract;
pub(crate) use detach::overloaded;
pub(crate) use json::pointer_to;
pub use openapi::description;
pub(crate) use payload::{Body, BodyText, Items, NoContent, PageBody};
pub use problem::MEDIA_TYPE as PROBLEM_MEDIA_TYPE;
pub(crate) use problem::Rejection;
pub(crate) use request_id::RequestId;
pub(crate) use written::Written;

use crate::{
    agents::AgentsApi,
    audit::AuditApi,
    auth::{Auth, Keyring},
    circles::{CirclesApi, RosterCache},
    config::ServerSettings,
    conversations::ConversationsApi,
    database::Database,
    handles::HandlesApi,
    keys::KeysApi,
    lifecycle::Lifecycle,
    limits::Limits,
    members::MembersApi,
    messages::MessagesApi,
    models::ModelsApi,
    providers::ProvidersApi,
};

/// The largest request body, in bytes: 1 MiB.
pub const MAX_BODY: usize = 1 << 20;

/// One tag a resource.
#[derive(Tags)]
pub(crate) enum Tag {
    /// Who serves models, over which wire protocol.
    Providers,
    /// What a provider's API can be asked to run, and what it costs.
    Models,
    /// A prompt, skills and a model under one name.
    Agents,
    /// Teams of agents, and the roster that a runtime builds a team from.
    Circles,
    /// Which agent is in which circle, and in which role.
    Members,
    /// What a runtime starts an agent from, resolved; and what is wrong with a circle.
    Handles,
    /// Agents talking about a topic, turn by turn.
    Conversations,
    /// What is said in conversations.
    Messages,
    /// Who changed what, and when.
    Audit,
    /// Who may ask, for what, and until when.
    Keys,
    /// Probes and figures for operators.
    Operations,
}

type Api = (
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
    health::HealthApi,
);

fn service() -> OpenApiService<Api, ()> {
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
        health::HealthApi,
    );
    openapi::introduce(OpenApiService::new(
        api,
        "circle-registry",
        env!("CARGO_PKG_VERSION"),
    ))
}

/// Everything the server answers.
pub(crate) fn endpoint(
    settings: &ServerSettings,
    database: Database,
    lifecycle: Lifecycle,
) -> impl Endpoint<Output = Response> + use<> {
    let service = service();
    let documents = openapi::Documents::of(&service);
    let contract = Contract::new(&documents.description);
    let keyring = Keyring::new(settings.key_check_interval);
    let limits = Limits::new(settings);
    let auth = Auth::new(settings, keyring.clone(), contract.clone(), limits.clone());
    let text = documents.text;
    let headers = headers::Headers::new("/docs", &documents.html, &settings.cors_origin);
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
        .with(not_modified::NotModified)
        .with(repeat::Repeat)
        .with(detach::Detach::new(
            settings.request_timeout,
            settings.max_requests,
        ))
        .with(contract)
        .with(limits)
        .with(auth)
        .with(gate::Gate)
        .with(problem::Problems)
        .with(headers)
        .with(request_id::RequestIds)
        .with(shared::Shared {
            keyring,
            lifecycle,
            database,
            rosters: RosterCache::new(settings.roster_cache),
        })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use poem::{Request, endpoint::make, http::Method};

    use super::*;

    async fn answer_to(method: Method) -> (Response, String) {
        let operation = make(|_| async {
            panic!("the secret of the operation");
            #[expect(unreachable_code, reason = "says what the operation would answer")]
            Ok::<(), poem::Error>(())
        });
        let endpoint = operation
            .with(detach::Detach::new(Duration::from_secs(10), 1))
            .with(problem::Problems)
            .with(request_id::RequestIds);
        let request = Request::builder().method(method).finish();
        let mut response = endpoint.get_response(request).await;
        let body = response.take_body().into_string().await.expect("a text");
        (response, body)
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_that_tells_nothing() {
        for method in [Method::GET, Method::POST] {
            let (response, body) = answer_to(method).await;
            assert_eq!(response.status(), 500);
            assert_eq!(response.content_type(), Some(PROBLEM_MEDIA_TYPE));
            assert!(
                body.contains("\"code\":\"internal\"") && !body.contains("secret"),
                "{body}"
            );
        }
    }
}
