//! The caller of a request, and where it came from.

use std::net::IpAddr;

use poem::{FromRequest, Request, RequestBody};

use crate::write::Caller;

impl<'a> FromRequest<'a> for Caller {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        Ok(caller_of(request))
    }
}

/// The address that a request comes from, as far as proxies can be trusted with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// The caller that authentication found for this request.
pub(crate) fn caller_of(request: &Request) -> Caller {
    request.data::<Caller>().copied().unwrap_or_default()
}
