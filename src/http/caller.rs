//! The caller of a request.

use poem::Request;

use crate::write::Caller;

/// The caller that authentication found for this request.
pub(crate) fn caller_of(request: &Request) -> Caller {
    request.data::<Caller>().copied().unwrap_or_default()
}
