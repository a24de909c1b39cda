//! How a handler gets its [`WriteRequest`].

use poem::{FromRequest, Request, RequestBody, http::Method};

use super::{RequestId, caller_of};
use crate::{
    error::Error,
    write::{Actor, BodyDigest, IdempotencyKey, InFlight, WriteRequest},
};

impl<'a> FromRequest<'a> for WriteRequest {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        let actor = Actor {
            caller: caller_of(request),
            request_id: Some(RequestId::of(request).to_string()),
        };
        let in_flight = request.data::<InFlight>().cloned().unwrap_or_default();
        let key = idempotency_key(request)?;
        Ok(Self::new(actor, key, in_flight))
    }
}

fn idempotency_key(request: &Request) -> Result<Option<IdempotencyKey>, Error> {
    let key = match request.headers().get(IdempotencyKey::HEADER) {
        Some(key) if request.method() == Method::POST => key,
        _ => return Ok(None),
    };
    let digest = request.data::<BodyDigest>().cloned();
    let digest = digest.unwrap_or_else(|| BodyDigest::of(b""));
    let path = request.uri().path();
    IdempotencyKey::new(key.as_bytes(), caller_of(request), path, digest).map(Some)
}

/// Keeps the digest of the body of a request with an idempotency key.
pub(crate) fn keep_digest(request: &mut Request, body: &[u8]) {
    if request.headers().contains_key(IdempotencyKey::HEADER) {
        request.set_data(BodyDigest::of(body));
    }
}

/// A POST that takes no idempotency key, because its response may not be stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotIdempotent;

impl NotIdempotent {
    /// The operations whose handlers take it.
    pub(crate) const OPERATIONS: [&str; 1] = ["create_key"];
}

impl<'a> FromRequest<'a> for NotIdempotent {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        if request.headers().contains_key(IdempotencyKey::HEADER) {
            let detail = "is not taken here: the answer holds a secret, so it can't be kept";
            let header = format!("header/{}", IdempotencyKey::HEADER);
            return Err(Error::invalid(header, detail).into());
        }
        Ok(Self)
    }
}
