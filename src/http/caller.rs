//! The caller of a request, as authentication found it.

use poem::Request;

use crate::write::Caller;

/// The caller that authentication attached to this request.
pub(crate) fn caller_of(request: &Request) -> Caller {
    request.data::<Caller>().copied().unwrap_or_default()
}
