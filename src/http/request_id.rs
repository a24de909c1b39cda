//! The id of a request.

use std::fmt;

use poem::{
    Request,
    http::{HeaderValue, header::HeaderName},
};
use uuid::Uuid;

/// The id that the client sent, of 1 to 128 visible ASCII characters, or a new one.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The header of requests and responses.
    pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
    const MAX_LENGTH: usize = 128;

    pub(crate) fn from_client(value: &HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes();
        let is_valid =
            (1..=Self::MAX_LENGTH).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
        is_valid.then(|| Self(value.clone()))
    }

    pub(crate) fn new() -> Self {
        let id = Uuid::now_v7().to_string();
        Self(HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("-")))
    }

    /// The id of this request, which the middleware has set.
    pub(crate) fn of(request: &Request) -> Self {
        request.data::<Self>().cloned().unwrap_or_else(Self::new)
    }
}

impl From<RequestId> for HeaderValue {
    fn from(id: RequestId) -> Self {
        id.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or("-"))
    }
}
