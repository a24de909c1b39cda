//! Error responses, by RFC 9457 "Problem Details for HTTP APIs". Every error becomes a
//! [`ProblemKind`], and every error body is written from one.

use std::borrow::Cow;

use poem::{
    Response,
    error::{MethodNotAllowedError, NotFoundError, ResponseError},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse, Object,
    error::{ContentTypeError, ParseParamError, ParsePathError, ParseRequestPayloadError},
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::Type,
};
use serde::Serialize;

use super::{body::MAX_BODY, request_id::RequestId};
use crate::{
    database::errors,
    error::{Error, FieldError, FieldErrors},
};

/// The media type of every error body.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request failed (RFC 9457).
#[derive(Debug, Object, Serialize)]
pub(crate) struct Problem {
    /// Always `about:blank`; `code` identifies the kind of problem.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    type_: String,
    /// The name of the status, for people.
    title: String,
    /// The HTTP status, repeated.
    status: u16,
    /// What went wrong with this request, for people.
    detail: String,
    /// What went wrong, for programs. A code never changes its meaning.
    code: String,
    /// The response's `X-Request-Id`, which identifies the request in the server's log.
    request_id: String,
    /// The parts of the request that are not valid, if that is the problem: the first 100. If there are
    /// more, `detail` says how many.
    #[oai(skip_serializing_if_is_none, validator(max_items = 100))]
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<FieldProblem>>,
}

/// One part of a request that is not valid.
#[derive(Debug, Object, Serialize)]
pub(crate) struct FieldProblem {
    /// A JSON pointer into the body, as `#/skill_names/0`, or a parameter's location and name, as
    /// `query/limit` or `path/id`. In place of a pointer longer than 2,000 bytes stands that of the
    /// innermost parent which is not.
    pointer: String,
    /// What is wrong with it.
    detail: String,
}

const REALM: &str = "Bearer realm=\"circle-registry\"";

/// How many header fields a request may have.
pub(crate) const MAX_HEADER_FIELDS: usize = 64;

/// Why a request was rejected before its operation ran, or was cut off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("the body is not JSON: {0}")]
    MalformedJson(String),
    #[error("the header field {0} is not visible ASCII text")]
    UnreadableHeader(&'static str),
    #[error("an object in the body has a duplicate key")]
    DuplicateKey(FieldErrors),
    #[error("the body is larger than {MAX_BODY} bytes")]
    TooLarge,
    #[error("the body is incomplete")]
    Incomplete,
    #[error("the body arrived too slowly")]
    TooSlow,
    #[error("the body must be sent as application/json")]
    ContentType,
    #[error("the body must be sent without `Content-Encoding`: compressed bodies are not read")]
    ContentEncoding,
    #[error("the request has more than {MAX_HEADER_FIELDS} header fields")]
    HeaderFields,
    #[error(
        "`If-Match` compares strongly, and a weak tag (`W/\"…\"`) never matches; a proxy that compresses \
         responses makes tags weak: let this service compress instead"
    )]
    WeakTag,
    #[error("the database did not respond in time")]
    TimedOut,
    #[error("this path does not support the method")]
    Method { allow: String },
    #[error("an API key is required, as `Authorization: Bearer crk_…`")]
    Unauthenticated,
    #[error("the API key is not valid")]
    InvalidToken,
    #[error("the rate limit is exceeded; retry after the seconds in `Retry-After`")]
    RateLimited { headers: HeaderMap },
    #[error("the request is for another host; --allowed-host adds names")]
    Host,
    #[error("the request was sent by a page of another site")]
    Origin,
    #[error(
        "the request came through a proxy, and without API keys only this machine is served; create a \
         key with `circle-registry keys create --name admin --scope admin`, and send it as \
         `Authorization: Bearer crk_…`"
    )]
    Proxied,
    #[error("the operation panicked: {0}")]
    Panicked(String),
}

impl RequestError {
    /// The headers of the response.
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut insert = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        match self {
            Self::Method { allow } => insert(header::ALLOW, allow),
            Self::RateLimited { headers } => return headers.clone(),
            _ => {}
        }
        if let Some(challenge) = self.challenge() {
            insert(header::WWW_AUTHENTICATE, &challenge);
        }
        headers
    }

    /// The challenge of RFC 6750. It does not reveal what is wrong with a key.
    fn challenge(&self) -> Option<String> {
        match self {
            Self::Unauthenticated => Some(REALM.to_owned()),
            Self::InvalidToken => Some(format!("{REALM}, error=\"invalid_token\"")),
            _ => None,
        }
    }
}

impl ResponseError for RequestError {
    fn status(&self) -> StatusCode {
        ProblemKind::from(self).status
    }
}

impl ResponseError for Error {
    fn status(&self) -> StatusCode {
        ProblemKind::from(self).status
    }
}

/// A problem without the id of its request.
#[derive(Debug)]
pub(crate) struct ProblemKind<'a> {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    detail: Cow<'a, str>,
    errors: Option<&'a FieldErrors>,
    headers: HeaderMap,
}

/// Status, code and detail; without a detail, the error's message is used.
type Row = (StatusCode, &'static str, Option<&'static str>);

const INTERNAL: Row = (
    StatusCode::INTERNAL_SERVER_ERROR,
    "internal",
    Some("An internal error occurred. The request id identifies it in the server's log."),
);

#[rustfmt::skip]
fn row_of_error(error: &Error) -> Row {
    use StatusCode as S;
    match error {
        Error::NotFound { .. } => (S::NOT_FOUND, "not_found", None),
        Error::Conflict { code, .. } => (S::CONFLICT, code, None),
        Error::PreconditionFailed => (S::PRECONDITION_FAILED, "precondition_failed",
            Some("The resource is not in the state that If-Match or If-None-Match asks for. Read it again.")),
        Error::CursorExpired => (S::GONE, "cursor_expired",
            Some("The changes after this cursor are no longer all there. Start again: get a cursor with \
                  `after=latest`, read the lists, and follow from that cursor.")),
        Error::Forbidden(_) => (S::FORBIDDEN, "forbidden", None),
        Error::Unique { .. } | Error::ForeignKey(_) => (S::CONFLICT, "conflict",
            Some("The change conflicts with existing data.")),
        Error::Invalid(_) => (S::UNPROCESSABLE_ENTITY, "invalid_request",
            Some("The request is well-formed, but parts of it are not valid.")),
        Error::BatchFailed(_) => (S::CONFLICT, "batch_failed",
            Some("Nothing was changed, because at least one operation of the batch failed.")),
        Error::Starting(detail) => (S::SERVICE_UNAVAILABLE, "starting", Some(detail)),
        Error::Draining => (S::SERVICE_UNAVAILABLE, "draining", None),
        Error::SchemaNotCurrent => (S::SERVICE_UNAVAILABLE, "schema_not_current", None),
        Error::Overloaded => (S::SERVICE_UNAVAILABLE, "overloaded",
            Some("The service has reached its limit of concurrent requests. Try again shortly.")),
        Error::TooManyStreams => (S::SERVICE_UNAVAILABLE, "too_many_streams",
            Some("The service has reached its limit of open event streams. Try again shortly, or another instance.")),
        Error::ResponseTooLarge => (S::UNPROCESSABLE_ENTITY, "response_too_large",
            Some("The response would be larger than 8 MiB. Read its parts: members and agents are listed in pages.")),
        Error::PoolExhausted(_) => (S::SERVICE_UNAVAILABLE, "pool_exhausted",
            Some("No database connection was free in time. Try again shortly.")),
        Error::Contended(_) => (S::SERVICE_UNAVAILABLE, "contended",
            Some("Every attempt conflicted with concurrent changes. Try again shortly.")),
        Error::Locked(_) => (S::SERVICE_UNAVAILABLE, "contended",
            Some("Concurrent changes held a lock for too long. Try again shortly.")),
        Error::TooSlow(_) => (S::GATEWAY_TIMEOUT, "too_slow",
            Some("A statement took the database longer than it may, and nothing has changed. The same \
                  request may never succeed: ask for less, or change less.")),
        Error::Unavailable(_) => (S::SERVICE_UNAVAILABLE, "database_unavailable", None),
        Error::ReadOnly(_) => (S::SERVICE_UNAVAILABLE, "database_read_only",
            Some("The database accepts no writes at the moment: it is a standby, or read-only. Try again shortly.")),
        Error::OutOfSpace(_) => (S::INSUFFICIENT_STORAGE, "insufficient_storage",
            Some("The database is out of space and accepts no writes.")),
        Error::Randomness(_) | Error::Database(_) => INTERNAL,
    }
}

#[rustfmt::skip]
fn row_of_request_error(error: &RequestError) -> Row {
    use StatusCode as S;
    match error {
        RequestError::MalformedJson(_) => (S::BAD_REQUEST, "malformed_json", None),
        RequestError::UnreadableHeader(_) => (S::BAD_REQUEST, "unreadable_header", None),
        RequestError::DuplicateKey(_) => (S::BAD_REQUEST, "duplicate_key", None),
        RequestError::TooLarge => (S::PAYLOAD_TOO_LARGE, "body_too_large", None),
        RequestError::Incomplete => (S::BAD_REQUEST, "incomplete_body", None),
        RequestError::TooSlow => (S::REQUEST_TIMEOUT, "body_too_slow", None),
        RequestError::ContentType | RequestError::ContentEncoding =>
            (S::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", None),
        RequestError::TimedOut => (S::GATEWAY_TIMEOUT, "timed_out",
            Some("The database did not respond in time. A change may still take effect: with an \
                  Idempotency-Key it can be retried safely.")),
        RequestError::Method { .. } => (S::METHOD_NOT_ALLOWED, "method_not_allowed", None),
        RequestError::HeaderFields =>
            (S::REQUEST_HEADER_FIELDS_TOO_LARGE, "too_many_header_fields", None),
        RequestError::WeakTag => (S::PRECONDITION_FAILED, "precondition_failed", None),
        RequestError::Unauthenticated | RequestError::InvalidToken =>
            (S::UNAUTHORIZED, "unauthenticated", None),
        RequestError::RateLimited { .. } => (S::TOO_MANY_REQUESTS, "rate_limited", None),
        RequestError::Host => (S::MISDIRECTED_REQUEST, "host_not_allowed", None),
        RequestError::Origin => (S::FORBIDDEN, "origin_not_allowed", None),
        RequestError::Proxied => (S::FORBIDDEN, "proxy_not_allowed", None),
        RequestError::Panicked(_) => INTERNAL,
    }
}

/// What poem itself rejects, which is little after routing and validation.
#[rustfmt::skip]
fn row_of_poem_error(error: &poem::Error) -> Row {
    use StatusCode as S;
    const NOT_ACCEPTED: Option<&str> = Some("The request is not valid.");
    if error.is::<NotFoundError>() {
        return (S::NOT_FOUND, "route_not_found", Some("There is nothing at this path."));
    }
    if error.is::<MethodNotAllowedError>() {
        return (S::METHOD_NOT_ALLOWED, "method_not_allowed", Some("This path does not support the method."));
    }
    if error.is::<ContentTypeError>() {
        return (S::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type",
            Some("The body must be sent as application/json."));
    }
    let unparsable = error.is::<ParseParamError>()
        || error.is::<ParsePathError>()
        || error.is::<ParseRequestPayloadError>();
    match error.status() {
        _ if unparsable => (S::UNPROCESSABLE_ENTITY, "invalid_request", NOT_ACCEPTED),
        status if status.is_client_error() => (status, "invalid_request", NOT_ACCEPTED),
        _ => INTERNAL,
    }
}

impl<'a> From<&'a Error> for ProblemKind<'a> {
    fn from(error: &'a Error) -> Self {
        let mut kind = Self::new(row_of_error(error), error);
        if let Error::Unavailable(cause) = error {
            kind.detail = errors::public_reason(cause);
        }
        if let Error::Invalid(errors) | Error::BatchFailed(errors) = error {
            kind.errors = Some(errors);
        }
        if let Error::Forbidden(scope) = error {
            let challenge = format!("{REALM}, error=\"insufficient_scope\", scope=\"{scope}\"");
            let challenge = HeaderValue::try_from(challenge).ok();
            let challenge = challenge.map(|value| (header::WWW_AUTHENTICATE, value));
            kind.headers.extend(challenge);
        }
        kind
    }
}

impl<'a> From<&'a RequestError> for ProblemKind<'a> {
    fn from(error: &'a RequestError) -> Self {
        let mut kind = Self::new(row_of_request_error(error), error);
        kind.headers = error.headers();
        if let RequestError::DuplicateKey(errors) = error {
            kind.errors = Some(errors);
        }
        kind
    }
}

impl<'a> From<&'a poem::Error> for ProblemKind<'a> {
    fn from(error: &'a poem::Error) -> Self {
        if let Some(error) = error.downcast_ref::<Error>() {
            return error.into();
        }
        if let Some(error) = error.downcast_ref::<RequestError>() {
            return error.into();
        }
        Self::new(row_of_poem_error(error), error)
    }
}

impl ProblemKind<'_> {
    fn new((status, code, detail): Row, message: &impl ToString) -> Self {
        Self {
            status,
            code,
            detail: detail.map_or_else(|| sentence(message).into(), Cow::Borrowed),
            errors: None,
            headers: HeaderMap::new(),
        }
    }

    /// The body of the response to the request with this id.
    pub(crate) fn body(&self, request_id: &RequestId) -> Vec<u8> {
        let Self {
            status,
            code,
            detail,
            errors,
            headers: _,
        } = self;
        let problem = Problem {
            type_: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: match errors.map_or(0, FieldErrors::omitted) {
                0 => detail.clone().into_owned(),
                omitted => format!("{detail} {}", and_more(omitted)),
            },
            code: (*code).to_owned(),
            request_id: request_id.to_string(),
            errors: errors.map(|errors| errors.listed().iter().map(FieldProblem::from).collect()),
        };
        serde_json::to_vec(&problem).unwrap_or_default()
    }

    /// The response to the request with this id.
    pub(crate) fn into_response(self, request_id: &RequestId) -> Response {
        let status = self.status;
        let mut response = Response::builder()
            .status(status)
            .content_type(MEDIA_TYPE)
            .body(self.body(request_id));
        response.headers_mut().extend(self.headers);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let one_second = HeaderValue::from_static("1");
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, one_second);
        }
        response
    }
}

fn and_more(omitted: usize) -> String {
    let listed = FieldErrors::MAX_LISTED;
    format!("`errors` lists the first {listed} of them, and there are {omitted} more.")
}

/// An error message as a sentence.
fn sentence(message: &impl ToString) -> String {
    let text = message.to_string();
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), characters.as_str()),
        None => text,
    }
}

impl From<&FieldError> for FieldProblem {
    fn from(FieldError { pointer, detail }: &FieldError) -> Self {
        Self {
            pointer: pointer.clone(),
            detail: detail.clone(),
        }
    }
}

/// Every operation fails with the same body. Which statuses it has, the finishing pass declares in
/// place of this range, which keeps the schema in the description.
impl ApiResponse for Error {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "",
                status: None,
                status_range: Some("4XX".to_owned()),
                content: vec![MetaMediaType {
                    content_type: MEDIA_TYPE,
                    schema: Problem::schema_ref(),
                }],
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        Problem::register(registry);
    }
}
