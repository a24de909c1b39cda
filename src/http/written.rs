//! An answer that is written already.

use bytes::Bytes;
use poem::{IntoResponse, Response, http::header};
use sea_orm::DbErr;
use serde::Serialize;

use crate::error::Error;

/// The JSON of an answer with its tag. Clones share the bytes.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    json: Bytes,
    etag: String,
}

impl Written {
    pub(crate) fn of(thing: &impl Serialize, etag: String) -> Result<Self, Error> {
        let json = serde_json::to_vec(thing).map_err(|error| DbErr::Json(error.to_string()))?;
        Ok(Self {
            json: json.into(),
            etag,
        })
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
