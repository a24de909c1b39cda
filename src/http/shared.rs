//! What all requests share: built once, and found by its type.

use std::{any::type_name, sync::Arc};

use poem::{FromRequest, Request, RequestBody, error::GetDataError, http::Extensions};

/// Carried by every request as one value, where one for each of its parts would be allocated.
#[derive(Clone, Debug)]
pub(crate) struct SharedState(Arc<Extensions>);

impl SharedState {
    pub(crate) fn new(parts: Extensions) -> Self {
        Self(Arc::new(parts))
    }
}

/// Extracts a part of the shared state.
pub(crate) struct Shared<T>(pub(crate) T);

impl<'r, T: Send + Sync + 'static> FromRequest<'r> for Shared<&'r T> {
    async fn from_request(request: &'r Request, _: &mut RequestBody) -> poem::Result<Self> {
        let part = request.data().and_then(|SharedState(parts)| parts.get());
        Ok(Self(part.ok_or(GetDataError(type_name::<T>()))?))
    }
}
