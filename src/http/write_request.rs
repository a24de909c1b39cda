//! How a handler gets its [`WriteRequest`], and the kinds of responses to writes.

use entity::values::ScopeList;
use poem::{FromRequest, Request, RequestBody, http::Method, web::Data};
use serde::Serialize;

use super::{
    ClientAddress, Created, CreatedOrReplaced, NoContent, RequestId, Shared, Tagged, Untagged,
    caller_of,
};
use crate::{
    database::Database,
    error::Error,
    revision::HasEtag,
    write::{Actor, BodyDigest, IdempotencyKey, InFlight, UnitOfWork, WriteRequest},
};

impl<'a> FromRequest<'a> for WriteRequest {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
        let Data(database) = Data::<&Database>::from_request(request, body).await?;
        let Shared(in_flight) = Shared::<&InFlight>::from_request(request, body).await?;
        let actor = Actor {
            caller: caller_of(request),
            request_id: Some(RequestId::of(request).to_string()),
            client_address: request.data().map(|ClientAddress(address)| *address),
            scopes: request.data::<ScopeList>().cloned().unwrap_or_default(),
            message: None,
        };
        let key = idempotency_key(request)?;
        Ok(Self::new(database.clone(), actor, key, in_flight.clone()))
    }
}

fn idempotency_key(request: &Request) -> Result<Option<IdempotencyKey>, Error> {
    let mut keys = request.headers().get_all(IdempotencyKey::HEADER).iter();
    let key = match keys.next() {
        Some(key) if request.method() == Method::POST => key,
        _ => return Ok(None),
    };
    if keys.next().is_some() {
        let header = format!("header/{}", IdempotencyKey::HEADER);
        return Err(Error::invalid(header, "is given more than once"));
    }
    let digest = request.data::<BodyDigest>().cloned();
    let digest = digest.unwrap_or_else(|| BodyDigest::of(b""));
    let digest = digest.with_query(request.uri().query().unwrap_or_default());
    let path = request.uri().path();
    IdempotencyKey::new(key.as_bytes(), caller_of(request), path, digest).map(Some)
}

/// One method for each kind of response. `change` makes the change in a unit of work; it is called
/// again if a concurrent transaction aborts the first attempt.
impl WriteRequest {
    /// 201 with the new resource and its path.
    pub(crate) async fn create<T, R, F>(
        &self,
        path: impl Fn(&R) -> String,
        change: impl Fn(UnitOfWork) -> F,
    ) -> Result<Created<T>, Error>
    where
        T: Serialize + From<R>,
        R: HasEtag,
        F: Future<Output = Result<R, Error>>,
    {
        self.run(change, |row| Created::row(path(&row), row)).await
    }

    /// 201 with the new resource and its path, or 200 with the resource as it is after the change. `change`
    /// says whether it created the resource.
    pub(crate) async fn create_or_replace<T, R, F>(
        &self,
        path: impl Fn(&R) -> String,
        change: impl Fn(UnitOfWork) -> F,
    ) -> Result<CreatedOrReplaced<T>, Error>
    where
        T: Serialize + From<R>,
        R: HasEtag,
        F: Future<Output = Result<(R, bool), Error>>,
    {
        self.run(change, |(row, is_new)| {
            CreatedOrReplaced::row(is_new.then(|| path(&row)), row)
        })
        .await
    }

    /// 200 with the resource as it is after the change.
    pub(crate) async fn update<T, R, F>(
        &self,
        change: impl Fn(UnitOfWork) -> F,
    ) -> Result<Tagged<T>, Error>
    where
        T: Serialize + From<R>,
        R: HasEtag,
        F: Future<Output = Result<R, Error>>,
    {
        self.run(change, Tagged::row).await
    }

    /// 200 with a summary of what a change of many resources did.
    pub(crate) async fn update_many<T, F>(
        &self,
        change: impl Fn(UnitOfWork) -> F,
    ) -> Result<Untagged<T>, Error>
    where
        T: Serialize,
        F: Future<Output = Result<T, Error>>,
    {
        self.run(change, |summary| Untagged::of(&summary)).await
    }

    /// 204.
    pub(crate) async fn delete<F>(
        &self,
        change: impl Fn(UnitOfWork) -> F,
    ) -> Result<NoContent, Error>
    where
        F: Future<Output = Result<(), Error>>,
    {
        self.run(change, |()| Ok(NoContent::Done)).await
    }
}

/// Keeps the digest of the body of a request that has an idempotency key.
pub(crate) fn keep_digest(request: &mut Request, body: &[u8]) {
    if request.headers().contains_key(IdempotencyKey::HEADER) {
        request.set_data(BodyDigest::of(body));
    }
}

/// A POST that takes no idempotency key, because its response must not be stored, or nothing is changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotIdempotent;

impl NotIdempotent {
    /// The operations whose handlers take it.
    pub(crate) const OPERATIONS: [&str; 6] = [
        "create_key",
        "create_webhook",
        "get_model_cost",
        "plan_documents",
        "rotate_webhook_secret",
        "test_webhook",
    ];
}

impl<'a> FromRequest<'a> for NotIdempotent {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        if request.headers().contains_key(IdempotencyKey::HEADER) {
            let detail = "is not accepted here, because the response is not stored";
            let header = format!("header/{}", IdempotencyKey::HEADER);
            return Err(Error::invalid(header, detail).into());
        }
        Ok(Self)
    }
}
