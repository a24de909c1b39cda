//! Reads go to replicas, if these have what the client has written.
//!
//! A response to a write says where the log of the database ended then. A client that sends that position with its next
//! read sees its own write, on any instance. One that does not sees it too if both requests reach the same instance,
//! which keeps the position for the client's key for as long as a replica may lag.
//!
//! What a replica has no answer to, the primary answers: its loss is no error of anyone, and that it lags makes nothing
//! seem to be missing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use poem::{
    Body, Request, RequestParts, Response,
    http::{HeaderMap, HeaderName, HeaderValue, header},
};
use sea_orm::DbErr;
use url::form_urlencoded;

use super::{ApiOperation, Middleware, Next};
use crate::{
    database::{Database, LogPosition, ReadOutcome, Replica, Replicas},
    error::{DatabaseCause, Error},
    http::caller_of,
    write::Caller,
};

/// The operations that show what runs on the primary, and so must ask it.
const OF_THE_PRIMARY: [&str; 2] = ["list_changes", "stream_events"];
/// The parameter that makes a list show until when all changes are visible, which depends on what runs on the primary.
const UPDATED_SINCE: &str = "updated_since";

const DATABASE_POSITION: HeaderName = HeaderName::from_static("database-position");

/// Whether only the primary can answer an operation.
pub(crate) fn is_of_the_primary(operation_id: &str) -> bool {
    OF_THE_PRIMARY.contains(&operation_id)
}

/// What a client must find in the answer to its read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Required {
    /// What a replica has that lags no longer than it may.
    Nothing,
    /// All that was written up to there.
    Position(LogPosition),
    /// All that there is.
    Everything,
}

impl Required {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, other) | (other, Self::Nothing) => other,
            (Self::Position(one), Self::Position(other)) => Self::Position(one.max(other)),
            _ => Self::Everything,
        }
    }

    /// What a request asks for. A position that can't be read may be any.
    fn by(headers: &HeaderMap) -> Self {
        let wants_the_newest = |value: &HeaderValue| {
            let directives = value.to_str().unwrap_or_default().split(',');
            directives
                .map(str::trim)
                .any(|directive| directive.eq_ignore_ascii_case("no-cache"))
        };
        if headers
            .get_all(header::CACHE_CONTROL)
            .iter()
            .any(wants_the_newest)
        {
            return Self::Everything;
        }
        let positions = headers.get_all(DATABASE_POSITION).iter().map(|value| {
            let position = value.to_str().ok().and_then(|text| text.parse().ok());
            position.map_or(Self::Everything, Self::Position)
        });
        positions.fold(Self::Nothing, Self::and)
    }
}

/// Without replicas it does nothing.
#[derive(Debug)]
pub(crate) struct ReadReplicas(Option<Replicated>);

#[derive(Debug)]
struct Replicated {
    replicas: Replicas,
    written: WrittenPositions,
}

impl ReadReplicas {
    pub(crate) fn new(replicas: Option<Replicas>) -> Self {
        Self(replicas.map(|replicas| Replicated {
            written: WrittenPositions::new(replicas.longest_lag()),
            replicas,
        }))
    }
}

impl Middleware for ReadReplicas {
    async fn call(&self, request: Box<Request>, next: &Arc<impl Next>) -> poem::Result<Response> {
        match &self.0 {
            None => next.call(request).await,
            // Boxed, because most services have no replicas.
            Some(replicated) => Box::pin(replicated.call(request, next)).await,
        }
    }
}

impl Replicated {
    async fn call(&self, request: Box<Request>, next: &Arc<impl Next>) -> poem::Result<Response> {
        let operation = ApiOperation::of(&request)?;
        let Some(database) = request.data::<Database>().cloned() else {
            return next.call(request).await;
        };
        if operation.is_always_served() {
            return next.call(request).await;
        }
        if !request.method().is_safe() {
            return self.tell_position(request, &database, next).await;
        }
        // A client that learns of a change from the feed reads next what has changed.
        if operation.asks_the_primary {
            self.replicas.count_read(ReadOutcome::Primary);
            return self.tell_position(request, &database, next).await;
        }
        match self.replica_for(&request).await {
            Ok(replica) => self.read(replica, request, &database, next).await,
            Err(reason) => {
                self.replicas.count_read(reason);
                next.call(request).await
            }
        }
    }

    async fn replica_for(&self, request: &Request) -> Result<&Replica, ReadOutcome> {
        let query = request.uri().query().unwrap_or_default();
        if is_polled(query) {
            return Err(ReadOutcome::Primary);
        }
        let written = self.written.of(caller_of(request));
        match Required::by(request.headers()).and(written) {
            Required::Nothing => self.replicas.choose(None).await,
            Required::Position(position) => self.replicas.choose(Some(position)).await,
            Required::Everything => Err(ReadOutcome::Primary),
        }
    }

    /// Reads from a replica, or from the primary if the replica has no answer. So it is if it can't find something, which
    /// may be too new for it.
    async fn read(
        &self,
        replica: &Replica,
        request: Box<Request>,
        database: &Database,
        next: &Arc<impl Next>,
    ) -> poem::Result<Response> {
        let (head, _unread_body) = request.into_parts();
        let mut of_replica = without_body(&head);
        of_replica.set_data(database.reading_from(replica));
        match replica.unless_lost(next.call(of_replica)).await {
            Some(Ok(response)) => {
                self.replicas.count_read(ReadOutcome::Replica);
                return Ok(response);
            }
            Some(Err(error)) => {
                if let Some(cause) = error.database_cause() {
                    replica.suspect(cause);
                }
            }
            None => {}
        }
        self.replicas.count_read(ReadOutcome::Failed);
        database.connection().release_memory();
        next.call(without_body(&head)).await
    }

    /// Says in the response of the primary up to where must be read to see all of it, and keeps that for the client.
    async fn tell_position(
        &self,
        request: Box<Request>,
        database: &Database,
        next: &Arc<impl Next>,
    ) -> poem::Result<Response> {
        let caller = caller_of(&request);
        let mut response = next.call(request).await;
        match &mut response {
            Ok(response) => match database.end_of_log().await {
                Ok(position) => {
                    self.written.keep(caller, Required::Position(position));
                    if let Ok(value) = HeaderValue::try_from(position.to_string()) {
                        response.headers_mut().insert(DATABASE_POSITION, value);
                    }
                }
                Err(_) => self.written.keep(caller, Required::Everything),
            },
            // It may have been committed.
            Err(error) if error.status().is_server_error() => {
                self.written.keep(caller, Required::Everything);
            }
            Err(_) => {}
        }
        response
    }
}

/// A copy of the request. The operations that only read take no body.
fn without_body(head: &RequestParts) -> Box<Request> {
    let mut request = Request::builder()
        .method(head.method.clone())
        .uri(head.uri.clone())
        .version(head.version)
        .body(Body::empty());
    request.headers_mut().clone_from(&head.headers);
    request.extensions_mut().clone_from(&head.extensions);
    Box::new(request)
}

impl DatabaseCause for poem::Error {
    fn database_cause(&self) -> Option<&DbErr> {
        self.downcast_ref::<Error>()?.database_cause()
    }
}

/// Whether a query asks a list for what has changed since the last time.
fn is_polled(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == UPDATED_SINCE)
}

/// What clients have written or seen in the feed, for as long as a replica may not have it.
#[derive(Debug)]
struct WrittenPositions {
    kept: Mutex<HashMap<Caller, (Required, Instant)>>,
    keep_for: Duration,
}

impl WrittenPositions {
    /// With more of them, those are removed that are no longer needed.
    const MANY: usize = 1024;

    fn new(keep_for: Duration) -> Self {
        Self {
            kept: Mutex::default(),
            keep_for,
        }
    }

    fn of(&self, caller: Caller) -> Required {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.get(&caller) {
            Some((required, since)) if since.elapsed() <= self.keep_for => *required,
            _ => Required::Nothing,
        }
    }

    fn keep(&self, caller: Caller, required: Required) {
        let now = Instant::now();
        let is_needed = |since: &Instant| since.elapsed() <= self.keep_for;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= Self::MANY {
            kept.retain(|_, (_, since)| is_needed(since));
        }
        let (last, since) = kept.entry(caller).or_insert((required, now));
        // Of two writes at once, the position of the later one may be kept first.
        let both = if is_needed(since) {
            last.and(required)
        } else {
            required
        };
        (*last, *since) = (both, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: &str) -> Required {
        Required::Position(position.parse().expect(position))
    }

    #[test]
    fn a_request_requires_the_latest_position_that_it_names() {
        for (fields, required) in [
            (&[][..], Required::Nothing),
            (&[("database-position", "1-0/A")], at("1-0/A")),
            (
                &[
                    ("database-position", "1-0/B"),
                    ("database-position", "1-0/A"),
                ],
                at("1-0/B"),
            ),
            (
                &[
                    ("database-position", "1-0/A"),
                    ("database-position", "2-0/A"),
                ],
                at("2-0/A"),
            ),
            (&[("database-position", "soon")], Required::Everything),
            (
                &[("cache-control", "max-age=0, No-Cache")],
                Required::Everything,
            ),
            (&[("cache-control", "max-age=0")], Required::Nothing),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            assert_eq!(Required::by(&headers), required, "{fields:?}");
        }
    }

    #[test]
    fn a_list_is_polled_however_its_parameter_is_written() {
        for (query, polled) in [
            ("", false),
            ("limit=5&sort=updated_since", false),
            ("limit=5&updated_since=2026-01-01T00%3A00%3A00Z", true),
            ("updated%5Fsince=x", true),
        ] {
            assert_eq!(is_polled(query), polled, "{query}");
        }
    }

    #[test]
    fn what_a_caller_has_written_is_kept_for_it_alone_and_for_a_while() {
        let written = WrittenPositions::new(Duration::from_mins(1));
        let (one, other) = (Caller::Key(1), Caller::Anyone);
        written.keep(one, at("1-0/B"));
        written.keep(one, at("1-0/A"));
        assert_eq!(written.of(one), at("1-0/B"), "the later one counts");
        assert_eq!(written.of(other), Required::Nothing);
        written.keep(one, Required::Everything);
        assert_eq!(written.of(one), Required::Everything);

        let written = WrittenPositions::new(Duration::ZERO);
        for id in 0..3 * i64::try_from(WrittenPositions::MANY).expect("a number") {
            written.keep(Caller::Key(id), at("1-0/A"));
        }
        assert_eq!(written.of(one), Required::Nothing);
        let kept = written.kept.lock().expect("no panic").len();
        assert!(kept <= WrittenPositions::MANY, "{kept}");
    }
}
