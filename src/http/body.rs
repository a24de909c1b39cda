//! Reading request bodies: their type, their size, and how much memory all of them take.

use std::{io, sync::Arc, time::Duration};

use futures_util::StreamExt;
use poem::{
    Body, Request,
    http::{HeaderValue, Method, header},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::problem::RequestError;
use crate::error::Error;

/// The largest request body, in bytes: 2 MiB. A prompt of 500,000 characters of any script fits.
pub const MAX_BODY: usize = 2 << 20;

/// How many bytes of all bodies are held in memory at once. A request beyond that is rejected.
const MAX_BUFFERED: usize = 64 << 20;
/// How many bytes of each body do not count, so that large bodies do not keep out small ones.
const UNCOUNTED: usize = 8 << 10;

/// What some editors and libraries put before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The memory for request bodies. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct BodyBudget(Arc<Semaphore>);

impl BodyBudget {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_BUFFERED)))
    }

    /// Takes the body out of a request. The request holds the budget for it until it is dropped.
    pub(crate) async fn read(&self, request: &mut Request) -> poem::Result<Vec<u8>> {
        check_headers(request)?;
        let mut chunks = Box::pin(request.take_body().into_bytes_stream());
        let (mut body, mut reserved) = (Vec::new(), self.reserve(0)?);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|cause| match cause.kind() {
                io::ErrorKind::TimedOut => RequestError::TooSlow,
                _ => RequestError::Incomplete,
            })?;
            match self.reserve_chunk(body.len(), chunk.len()) {
                Ok(more) => reserved.merge(more),
                Err(error) => {
                    request.set_body(Body::from_bytes_stream(chunks));
                    return Err(error);
                }
            }
            body.extend_from_slice(&chunk);
        }
        request.set_data(Arc::new(reserved));
        if body.starts_with(BYTE_ORDER_MARK) {
            body.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(body)
    }

    /// Reserves memory for the next chunk of a body, of which `before` bytes are read.
    fn reserve_chunk(&self, before: usize, chunk: usize) -> poem::Result<OwnedSemaphorePermit> {
        let after = before + chunk;
        if after > MAX_BODY {
            return Err(RequestError::TooLarge.into());
        }
        self.reserve(after.saturating_sub(UNCOUNTED) - before.saturating_sub(UNCOUNTED))
    }

    fn reserve(&self, bytes: usize) -> poem::Result<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).map_err(|_| RequestError::TooLarge)?;
        let reserved = Arc::clone(&self.0).try_acquire_many_owned(bytes);
        reserved.map_err(|_| Error::Overloaded.into())
    }
}

fn check_headers(request: &mut Request) -> poem::Result<()> {
    let declared = request.content_type().unwrap_or_default();
    let (essence, _) = declared.split_once(';').unwrap_or((declared, ""));
    let is = |media_type: &str| essence.trim().eq_ignore_ascii_case(media_type);
    if request.method() == Method::PATCH && is("application/merge-patch+json") {
        // An update is a merge patch (RFC 7396). Handlers take it under its other name.
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
    } else if !is("application/json") {
        return Err(RequestError::ContentType.into());
    }
    let encodings = request.headers().get_all(header::CONTENT_ENCODING);
    if encodings
        .iter()
        .any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(RequestError::ContentEncoding.into());
    }
    let length = request.header(header::CONTENT_LENGTH);
    match length.and_then(|length| length.parse::<usize>().ok()) {
        Some(length) if length > MAX_BODY => Err(RequestError::TooLarge.into()),
        _ => Ok(()),
    }
}

/// Reads and discards the rest of a body, within bounds. A client that is still sending would see a
/// broken connection in place of an early response. With `Expect: 100-continue` it has not begun.
pub(crate) async fn drain_body(request: &mut Request) {
    const MAX_DRAINED: usize = 32 << 20;
    const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
    if request.headers().contains_key(header::EXPECT) {
        return;
    }
    let mut chunks = Box::pin(request.take_body().into_bytes_stream());
    let drain = async {
        let mut length = 0;
        while let Some(Ok(chunk)) = chunks.next().await {
            length += chunk.len();
            if length > MAX_DRAINED {
                break;
            }
        }
    };
    let _ = timeout(DRAIN_TIMEOUT, drain).await;
}
