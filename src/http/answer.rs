//! Responses to writes, and to reads of one resource. They can be stored for an idempotency key.

use std::marker::PhantomData;

use poem::{
    IntoResponse, Response,
    http::{HeaderName, StatusCode, header},
};
use poem_openapi::{
    ApiResponse,
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::Type,
};
use serde::Serialize;

use crate::{
    error::Error,
    revision::{self, HasEtag},
    rows,
    write::{Replayable, StoredResponse},
};

/// Room for most views, so that the buffer does not grow.
const VIEW_BYTES: usize = 1 << 15;

/// A response with one resource; if it is tagged, with the `ETag` of its state.
#[derive(Debug)]
pub(crate) struct Answer<T, const STATUS: u16, const TAGGED: bool> {
    stored: StoredResponse,
    declared: PhantomData<fn() -> T>,
}

/// The response to a create.
pub(crate) type Created<T> = Answer<T, 201, true>;

/// The response to any other operation on one resource.
pub(crate) type Tagged<T> = Answer<T, 200, true>;

/// The response to a PUT: that of a create, if the stored response has the path of a new resource, or else
/// that of an update.
#[derive(Debug)]
pub(crate) struct CreatedOrReplaced<T>(Tagged<T>);

/// The response of what never changes. Its `ETag` is a digest, and caches need not ask for it again.
#[derive(Debug)]
pub(crate) struct Immutable<A>(pub(crate) A);

/// A response without an `ETag`, as the summary of a change of many resources.
pub(crate) type Untagged<T> = Answer<T, 200, false>;

impl<T: Serialize, const STATUS: u16, const TAGGED: bool> Answer<T, STATUS, TAGGED> {
    fn new(thing: &T, etag: Option<String>, location: Option<String>) -> Result<Self, Error> {
        const BYTES: usize = 1 << 10;
        Ok(Self::replay(StoredResponse {
            body: rows::to_json(thing, BYTES)?,
            etag,
            location,
            replayed: false,
        }))
    }
}

impl<T, const STATUS: u16, const TAGGED: bool> Replayable for Answer<T, STATUS, TAGGED> {
    const STATUS: u16 = STATUS;

    fn stored(&self) -> StoredResponse {
        self.stored.clone()
    }

    fn replay(stored: StoredResponse) -> Self {
        Self {
            stored,
            declared: PhantomData,
        }
    }
}

impl<T: Serialize> Created<T> {
    /// A new row, and the path of its resource.
    pub(crate) fn row(location: String, row: impl HasEtag + Into<T>) -> Result<Self, Error> {
        let etag = row.etag();
        Self::new(&row.into(), Some(etag), Some(location))
    }
}

impl<T: Serialize> Tagged<T> {
    pub(crate) fn row(row: impl HasEtag + Into<T>) -> Result<Self, Error> {
        let etag = row.etag();
        Self::new(&row.into(), Some(etag), None)
    }
}

impl<T> Tagged<T> {
    /// What is made of several resources. Its tag identifies the bytes, and as a precondition it means nothing.
    pub(crate) fn view(thing: &impl Serialize) -> Result<Self, Error> {
        let body = rows::to_json(thing, VIEW_BYTES)?;
        let etag = revision::content_etag(&body);
        Ok(Self::replay(StoredResponse {
            body,
            etag: Some(etag),
            ..StoredResponse::default()
        }))
    }
}

impl<T: Serialize> Untagged<T> {
    pub(crate) fn of(thing: &T) -> Result<Self, Error> {
        Self::new(thing, None, None)
    }
}

impl<T: Serialize> Answer<T, 201, false> {
    /// The response to the create of a resource that has no `ETag`.
    pub(crate) fn untagged_at(location: String, thing: &T) -> Result<Self, Error> {
        Self::new(thing, None, Some(location))
    }
}

impl<T: Serialize> CreatedOrReplaced<T> {
    pub(crate) fn row(new: Option<String>, row: impl HasEtag + Into<T>) -> Result<Self, Error> {
        let etag = row.etag();
        Ok(Self(Answer::new(&row.into(), Some(etag), new)?))
    }
}

impl<T> Immutable<Tagged<T>> {
    pub(crate) fn view(thing: &impl Serialize, digest: &str) -> Result<Self, Error> {
        Ok(Self(Answer::replay(StoredResponse {
            body: rows::to_json(thing, VIEW_BYTES)?,
            etag: Some(revision::digest_etag(digest)),
            ..StoredResponse::default()
        })))
    }
}

impl<A: IntoResponse> IntoResponse for Immutable<A> {
    fn into_response(self) -> Response {
        const FOR_A_YEAR: &str = "private, max-age=31536000, immutable";
        let response = self.0.with_header(header::CACHE_CONTROL, FOR_A_YEAR);
        response.into_response()
    }
}

impl<A: ApiResponse> ApiResponse for Immutable<A> {
    fn meta() -> MetaResponses {
        let mut meta = A::meta();
        for response in &mut meta.responses {
            response.headers.push(declared_header("Cache-Control"));
        }
        meta
    }

    fn register(registry: &mut Registry) {
        A::register(registry);
    }
}

impl<T> Replayable for CreatedOrReplaced<T> {
    const STATUS: u16 = Tagged::<T>::STATUS;

    fn stored(&self) -> StoredResponse {
        self.0.stored()
    }

    fn replay(stored: StoredResponse) -> Self {
        Self(Answer::replay(stored))
    }
}

impl<T: Send> IntoResponse for CreatedOrReplaced<T> {
    fn into_response(self) -> Response {
        match self.0.stored.location {
            Some(_) => Created::<T>::replay(self.0.stored).into_response(),
            None => self.0.into_response(),
        }
    }
}

impl<T: Type> ApiResponse for CreatedOrReplaced<T> {
    fn meta() -> MetaResponses {
        let mut meta = Tagged::<T>::meta();
        meta.responses.extend(Created::<T>::meta().responses);
        meta
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

impl<T: Send, const STATUS: u16, const TAGGED: bool> IntoResponse for Answer<T, STATUS, TAGGED> {
    fn into_response(self) -> Response {
        let StoredResponse {
            body,
            etag,
            location,
            replayed,
        } = self.stored;
        let mut response = Response::builder()
            .status(StatusCode::from_u16(STATUS).unwrap_or_default())
            .content_type("application/json");
        if let Some(etag) = etag {
            response = response.header(header::ETAG, etag);
        }
        if let Some(location) = location {
            response = response.header(header::LOCATION, location);
        }
        if replayed {
            response = response.header(REPLAYED, "true");
        }
        response.body(body)
    }
}

fn declared_header(name: &str) -> MetaHeader {
    MetaHeader {
        name: name.to_owned(),
        description: None,
        required: true,
        deprecated: false,
        schema: String::schema_ref(),
    }
}

impl<T: Type, const STATUS: u16, const TAGGED: bool> ApiResponse for Answer<T, STATUS, TAGGED> {
    fn meta() -> MetaResponses {
        let location = (STATUS == 201).then(|| declared_header("Location"));
        let etag = TAGGED.then(|| declared_header("ETag"));
        MetaResponses {
            responses: vec![MetaResponse {
                // The finishing pass says what it is, and what the headers are.
                description: "",
                status: Some(STATUS),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: "application/json",
                    schema: T::schema_ref(),
                }],
                headers: location.into_iter().chain(etag).collect(),
            }],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}
