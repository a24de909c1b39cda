//! An answer that is written already.

use bytes::Bytes;
use poem::{IntoResponse, Response, http::header};

/// The JSON of an answer with its tag. Clones share the bytes.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    json: Bytes,
    etag: String,
}

impl Written {
    pub(crate) fn new(json: Vec<u8>, etag: String) -> Self {
        Self {
            json: json.into(),
            etag,
        }
    }

    /// How many bytes it takes.
    pub(crate) fn len(&self) -> usize {
        self.json.len() + self.etag.len()
    }
}

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        Response::builder()
            .content_type("application/json")
            .header(header::ETAG, self.etag)
            .body(self.json)
    }
}
