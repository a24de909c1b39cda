//! A response that is kept in a cache.

use bytes::Bytes;
use poem::{IntoResponse, Response, http::header};

/// The JSON of a response, and its ETag. Clones share the bytes.
#[derive(Clone, Debug)]
pub(crate) struct CachedBody {
    json: Bytes,
    etag: String,
}

impl CachedBody {
    pub(crate) fn new(json: Vec<u8>, etag: String) -> Self {
        Self {
            json: json.into(),
            etag,
        }
    }

    /// Its size in bytes.
    pub(crate) fn len(&self) -> usize {
        self.json.len() + self.etag.len()
    }
}

impl IntoResponse for CachedBody {
    fn into_response(self) -> Response {
        Response::builder()
            .content_type("application/json")
            .header(header::ETAG, self.etag)
            .body(self.json)
    }
}
