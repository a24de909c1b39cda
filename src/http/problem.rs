//! Errors as answers, by RFC 9457 "Problem Details for HTTP APIs". Whatever goes wrong, and
//! wherever, leaves the service through [`Problems`]; nothing else writes an error body.

use std::{any::Any, borrow::Cow, panic::AssertUnwindSafe};

use entity::values::Scope;
use futures_util::FutureExt;
use poem::{
    Endpoint, IntoResponse, Middleware, Request, Response,
    error::{MethodNotAllowedError, NotFoundError, ResponseError},
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse, Object,
    error::{ContentTypeError, ParseParamError, ParsePathError, ParseRequestPayloadError},
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::Type,
};
use serde::Serialize;

use crate::{
    database::Database,
    error::{Error, FieldError},
    http::{MAX_BODY, request_id::RequestId},
    limits::Standing,
};

/// The media type of every error body.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request failed (RFC 9457).
#[derive(Debug, Object, Serialize)]
pub(crate) struct Problem {
    /// Always `about:blank`: what kind of problem it is, is told by `code`.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    type_: String,
    /// The meaning of the status, for people.
    title: String,
    /// The HTTP status, repeated.
    status: u16,
    /// What went wrong with this request, for people.
    detail: String,
    /// What went wrong, for programs: a code never changes its meaning.
    code: String,
    /// The answer's `X-Request-Id`, by which the server's log knows the request.
    request_id: String,
    /// Which parts of the request are at fault, where the request is.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<FieldProblem>>,
}

/// One part of a request that is at fault.
#[derive(Debug, Object, Serialize)]
pub(crate) struct FieldProblem {
    /// A JSON pointer into the body, as `#/skill_names/0`, or a parameter's place and name, as
    /// `query/limit` or `path/id`.
    pointer: String,
    /// What is wrong there.
    detail: String,
}

/// A request that never reached its operation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("the body is not JSON: {0}")]
    MalformedJson(String),
    #[error("a key appears twice in one object")]
    DuplicateKey(Vec<FieldError>),
    #[error("the body is larger than {MAX_BODY} bytes")]
    TooLarge,
    #[error("the body could not be read to its end")]
    Incomplete,
    #[error("the body came too slowly")]
    TooSlow,
    #[error("the body must be sent as application/json")]
    ContentType,
    #[error("the database has not answered in time")]
    TimedOut,
    #[error("this path has no such method")]
    Method { allow: String },
    #[error("an API key is needed, as `Authorization: Bearer crk_…`")]
    Unauthenticated,
    #[error("the API key is not valid")]
    InvalidToken,
    #[error("the API key lacks the scope {scope}")]
    Forbidden { scope: Scope },
    #[error("that is more than one caller may ask for; `Retry-After` says when to come again")]
    TooOften(Standing),
    #[error("the request is meant for another host; --allowed-host lists more names")]
    Host,
    #[error("the request comes from a page of another site")]
    Origin,
    #[error("the operation panicked: {0}")]
    Panicked(String),
}

impl Rejection {
    /// What a client has to show, by RFC 6750. It does not say what is wrong with a key.
    fn challenge(&self) -> Option<String> {
        const REALM: &str = "Bearer realm=\"circle-registry\"";
        match self {
            Self::Unauthenticated => Some(REALM.to_owned()),
            Self::InvalidToken => Some(format!("{REALM}, error=\"invalid_token\"")),
            Self::Forbidden { scope } => Some(format!(
                "{REALM}, error=\"insufficient_scope\", scope=\"{scope}\""
            )),
            _ => None,
        }
    }
}

impl ResponseError for Rejection {
    fn status(&self) -> StatusCode {
        outline_rejection(self).status
    }
}

impl ResponseError for Error {
    fn status(&self) -> StatusCode {
        outline(self).status
    }
}

/// All of a problem but the request it happened to.
struct Outline<'a> {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'a, str>,
    errors: Option<&'a [FieldError]>,
}

impl<'a> Outline<'a> {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'a, str>>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            errors: None,
        }
    }
}

pub(super) const AWAY: &str = "The database can't be reached at the moment. Try again shortly.";

fn outline(error: &Error) -> Outline<'_> {
    match error {
        Error::NotFound { .. } => Outline::new(StatusCode::NOT_FOUND, "not_found", sentence(error)),
        Error::Conflict { code, .. } => Outline::new(StatusCode::CONFLICT, code, sentence(error)),
        Error::Outdated => Outline::new(
            StatusCode::PRECONDITION_FAILED,
            "outdated",
            "It has been changed since the state that If-Match names. Read it again.",
        ),
        Error::Unique(_) | Error::ForeignKey(_) => Outline::new(
            StatusCode::CONFLICT,
            "conflict",
            "What is stored is in the way of this change.",
        ),
        Error::Invalid(errors) => Outline {
            errors: Some(errors),
            ..Outline::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_request",
                "The request was understood, but parts of it can't be accepted.",
            )
        },
        Error::BatchFailed(errors) => Outline {
            errors: Some(errors),
            ..Outline::new(
                StatusCode::CONFLICT,
                "batch_failed",
                "Nothing was changed, because parts of the batch can't be done.",
            )
        },
        Error::NotReady { code, detail } => {
            Outline::new(StatusCode::SERVICE_UNAVAILABLE, code, *detail)
        }
        Error::PoolExhausted(_) => Outline::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "pool_exhausted",
            "No database connection was free in time. Try again shortly.",
        ),
        Error::Contended(_) => Outline::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "contended",
            "Other changes were in the way each time this one was tried. Try again shortly.",
        ),
        Error::Unavailable(_) => Outline::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "database_unavailable",
            AWAY,
        ),
        Error::OutOfSpace(_) => Outline::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "insufficient_storage",
            "The database has no space left, so nothing can be written.",
        ),
        Error::Randomness(_) | Error::Database(_) => internal(),
    }
}

fn outline_rejection(rejection: &Rejection) -> Outline<'_> {
    match rejection {
        Rejection::MalformedJson(_) => Outline::new(
            StatusCode::BAD_REQUEST,
            "malformed_json",
            sentence(rejection),
        ),
        Rejection::DuplicateKey(errors) => Outline {
            errors: Some(errors),
            ..Outline::new(
                StatusCode::BAD_REQUEST,
                "duplicate_key",
                sentence(rejection),
            )
        },
        Rejection::TooLarge => Outline::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            sentence(rejection),
        ),
        Rejection::Incomplete => Outline::new(
            StatusCode::BAD_REQUEST,
            "incomplete_body",
            sentence(rejection),
        ),
        Rejection::TooSlow => Outline::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_too_slow",
            sentence(rejection),
        ),
        Rejection::ContentType => Outline::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            sentence(rejection),
        ),
        Rejection::TimedOut => Outline::new(
            StatusCode::GATEWAY_TIMEOUT,
            "timed_out",
            "The database has not answered in time. A change may still be made: with an \
             Idempotency-Key it can safely be sent again.",
        ),
        Rejection::Method { .. } => Outline::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            sentence(rejection),
        ),
        Rejection::Unauthenticated | Rejection::InvalidToken => Outline::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            sentence(rejection),
        ),
        Rejection::Forbidden { .. } => {
            Outline::new(StatusCode::FORBIDDEN, "forbidden", sentence(rejection))
        }
        Rejection::TooOften(_) => Outline::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            sentence(rejection),
        ),
        Rejection::Host => Outline::new(
            StatusCode::MISDIRECTED_REQUEST,
            "host_not_allowed",
            sentence(rejection),
        ),
        Rejection::Origin => Outline::new(
            StatusCode::FORBIDDEN,
            "origin_not_allowed",
            sentence(rejection),
        ),
        Rejection::Panicked(_) => internal(),
    }
}

fn internal() -> Outline<'static> {
    Outline::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "Something went wrong on the server. The request id finds it in the log.",
    )
}

/// What poem itself refuses. The contract lets little of it through.
fn outline_foreign(error: &poem::Error) -> Outline<'static> {
    if error.is::<NotFoundError>() {
        return Outline::new(
            StatusCode::NOT_FOUND,
            "route_not_found",
            "There is nothing at this path.",
        );
    }
    if error.is::<MethodNotAllowedError>() {
        return Outline::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "This path has no such method.",
        );
    }
    if error.is::<ContentTypeError>() {
        return Outline::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "The body must be sent as application/json.",
        );
    }
    let refused = error.is::<ParseParamError>()
        || error.is::<ParsePathError>()
        || error.is::<ParseRequestPayloadError>();
    match error.status() {
        status if refused || status.is_client_error() => Outline::new(
            if refused {
                StatusCode::UNPROCESSABLE_ENTITY
            } else {
                status
            },
            "invalid_request",
            "The request can't be accepted.",
        ),
        _ => internal(),
    }
}

/// A message of our own as a sentence.
fn sentence(error: &impl ToString) -> String {
    let text = error.to_string();
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), characters.as_str()),
        None => text,
    }
}

/// Turns every error, from wherever, into a problem; a panic too.
pub(crate) struct Problems;

impl<E: Endpoint> Middleware<E> for Problems {
    type Output = ProblemsEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        ProblemsEndpoint(inner)
    }
}

pub(crate) struct ProblemsEndpoint<E>(E);

impl<E: Endpoint> Endpoint for ProblemsEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let request_id = RequestId::of(&request);
        let database = request.data::<Database>().cloned();
        let answered = AssertUnwindSafe(self.0.call(request))
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| Err(Rejection::Panicked(panic_text(panic.as_ref())).into()));
        match answered {
            Ok(response) => Ok(response.into_response()),
            Err(error) => Ok(answer(&error, &request_id, database.as_ref())),
        }
    }
}

fn answer(error: &poem::Error, request_id: &RequestId, database: Option<&Database>) -> Response {
    let ours = error.downcast_ref::<Error>();
    let rejection = error.downcast_ref::<Rejection>();
    let outline = match (ours, rejection) {
        (Some(error), _) => outline(error),
        (_, Some(rejection)) => outline_rejection(rejection),
        _ => outline_foreign(error),
    };
    if outline.status.is_server_error() && !matches!(ours, Some(Error::NotReady { .. })) {
        tracing::error!(cause = %error, code = outline.code, "request failed");
    }
    if let (Some(Error::PoolExhausted(_)), Some(database)) = (ours, database) {
        database.count_timeout();
    }
    let unavailable = outline.status == StatusCode::SERVICE_UNAVAILABLE;
    let mut response = problem(outline, request_id);
    if let Some(Rejection::Method { allow }) = rejection
        && let Ok(allow) = HeaderValue::from_str(allow)
    {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    if let Some(challenge) = rejection.and_then(Rejection::challenge)
        && let Ok(challenge) = HeaderValue::try_from(challenge)
    {
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(Rejection::TooOften(standing)) = rejection {
        standing.tell(response.headers_mut());
    }
    if unavailable {
        let soon = HeaderValue::from_static("1");
        response.headers_mut().insert(header::RETRY_AFTER, soon);
    }
    response
}

fn problem(outline: Outline<'_>, request_id: &RequestId) -> Response {
    let Outline {
        status,
        code,
        detail,
        errors,
    } = outline;
    let problem = Problem {
        type_: "about:blank".to_owned(),
        title: status.canonical_reason().unwrap_or("Error").to_owned(),
        status: status.as_u16(),
        detail: detail.into_owned(),
        code: code.to_owned(),
        request_id: request_id.to_string(),
        errors: errors.map(|errors| errors.iter().cloned().map(FieldProblem::from).collect()),
    };
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    Response::builder()
        .status(status)
        .content_type(MEDIA_TYPE)
        .body(body)
}

impl From<FieldError> for FieldProblem {
    fn from(FieldError { pointer, detail }: FieldError) -> Self {
        Self { pointer, detail }
    }
}

/// The text of a panic, for the log.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

/// Every operation can fail, and always with the same body; what each one fails with is told in
/// its description.
impl ApiResponse for Error {
    fn meta() -> MetaResponses {
        let retry_after = MetaHeader {
            name: "Retry-After".to_owned(),
            description: Some("Seconds to wait before trying again (with status 503)".to_owned()),
            required: false,
            deprecated: false,
            schema: <u32 as Type>::schema_ref(),
        };
        let response = |range: &str, description, headers| MetaResponse {
            description,
            status: None,
            status_range: Some(range.to_owned()),
            content: vec![MetaMediaType {
                content_type: MEDIA_TYPE,
                schema: Problem::schema_ref(),
            }],
            headers,
        };
        MetaResponses {
            responses: vec![
                response("4XX", "The request can't be served as it is", vec![]),
                response(
                    "5XX",
                    "The service can't serve the request now",
                    vec![retry_after],
                ),
            ],
        }
    }

    fn register(registry: &mut Registry) {
        Problem::register(registry);
    }
}
