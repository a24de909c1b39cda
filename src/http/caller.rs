//! The caller of a request.

use poem::{FromRequest, Request, RequestBody};

use crate::write::Caller;

impl<'a> FromRequest<'a> for Caller {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        Ok(caller_of(request))
    }
}

/// The caller that authentication found for this request.
pub(crate) fn caller_of(request: &Request) -> Caller {
    request.data::<Caller>().copied().unwrap_or_default()
}
