//! Responses whose bodies may be kept in a cache.

use std::marker::PhantomData;

use bytes::Bytes;
use poem::{
    IntoResponse, Response,
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse,
    registry::{MetaResponses, Registry},
    types::Type,
};
use serde::Serialize;

use super::{
    Tagged,
    gzip::{Gzipped, gzip},
};
use crate::{error::Error, revision, rows};

/// Room for as many header fields as a response has, so that the map does not grow on the way.
const HEADERS: usize = 10;

/// The JSON of a response, and its ETag. Clones share the bytes.
#[derive(Clone, Debug)]
pub(crate) struct CachedBody {
    json: Bytes,
    gzipped: Option<Bytes>,
    etag: Option<HeaderValue>,
}

impl CachedBody {
    /// What is made of several resources, in a buffer of this capacity. Its tag identifies the bytes, and as a
    /// precondition it means nothing.
    pub(crate) fn view(thing: &impl Serialize, capacity: usize) -> Result<Self, Error> {
        let json = rows::to_json(thing, capacity)?;
        let etag = revision::content_etag(&json);
        Ok(Self::new(json, etag))
    }

    pub(crate) fn new(json: Vec<u8>, etag: String) -> Self {
        Self {
            json: json.into(),
            gzipped: None,
            etag: HeaderValue::try_from(etag).ok(),
        }
    }

    /// The same, with its compressed form.
    pub(crate) fn with_gzipped(self, gzipped: Vec<u8>) -> Self {
        Self {
            gzipped: Some(gzipped.into()),
            ..self
        }
    }

    /// The tag of the state that it shows.
    pub(crate) fn etag(&self) -> Option<&str> {
        self.etag.as_ref()?.to_str().ok()
    }

    /// Its size in bytes.
    pub(crate) fn len(&self) -> usize {
        let gzipped = self.gzipped.as_ref().map_or(0, Bytes::len);
        self.json.len() + gzipped + self.etag.as_ref().map_or(0, HeaderValue::len)
    }

    pub(crate) fn is_gzipped(&self) -> bool {
        self.gzipped.is_some()
    }

    /// The same with its compressed form, if that is shorter.
    pub(crate) async fn gzipped(self) -> Self {
        let gzipped = gzip(&self.json).await;
        Self { gzipped, ..self }
    }
}

impl IntoResponse for CachedBody {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        let headers = response.headers_mut();
        headers.reserve(HEADERS);
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if let Some(etag) = self.etag {
            headers.insert(header::ETAG, etag);
        }
        response.set_body(self.json);
        if let Some(gzipped) = self.gzipped {
            response.extensions_mut().insert(Gzipped(gzipped));
        }
        response
    }
}

/// The response to a read whose body may be kept: the body, or the tag of the one that the client has. `T` declares
/// the schema.
#[derive(Debug)]
pub(crate) struct CachedAnswer<T> {
    /// Without a body, the tag.
    body: Result<CachedBody, String>,
    declared: PhantomData<fn() -> T>,
}

impl<T> CachedAnswer<T> {
    pub(crate) fn not_modified(etag: String) -> Self {
        Self {
            body: Err(etag),
            declared: PhantomData,
        }
    }
}

impl<T> From<CachedBody> for CachedAnswer<T> {
    fn from(body: CachedBody) -> Self {
        Self {
            body: Ok(body),
            declared: PhantomData,
        }
    }
}

impl<T: Send> IntoResponse for CachedAnswer<T> {
    fn into_response(self) -> Response {
        match self.body {
            Ok(body) => body.into_response(),
            Err(etag) => StatusCode::NOT_MODIFIED
                .with_header(header::ETAG, etag)
                .into_response(),
        }
    }
}

/// The finishing pass declares the 304.
impl<T: Type> ApiResponse for CachedAnswer<T> {
    fn meta() -> MetaResponses {
        Tagged::<T>::meta()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}
