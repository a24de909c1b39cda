//! A response that is kept in a cache.

use bytes::Bytes;
use poem::{
    IntoResponse, Response,
    http::{HeaderValue, header},
};

use super::gzip::{Gzipped, gzip};

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
    pub(crate) fn new(json: Vec<u8>, etag: String) -> Self {
        Self {
            json: json.into(),
            gzipped: None,
            etag: HeaderValue::try_from(etag).ok(),
        }
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
