//! Request bodies on their way in: which type, how long, and how much of them all at once.

use std::{io, sync::Arc, time::Duration};

use futures_util::StreamExt;
use poem::{Body, Request, http::header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::RequestError;
use crate::error::Error;

/// The largest request body, in bytes: 1 MiB.
pub const MAX_BODY: usize = 1 << 20;

/// How much of all bodies is held at once, in bytes. Beyond it, whoever sends more is told that
/// there is no room.
const TOGETHER: usize = 64 * MAX_BODY;
/// What of each body does not count, so that small ones get in while large ones are held back.
const SMALL: usize = 8 << 10;

/// Where bodies are held while their requests are served. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct BodyRoom(Arc<Semaphore>);

impl BodyRoom {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(TOGETHER)))
    }

    /// Takes the body out of a request, which goes on holding its room until it is over.
    pub(crate) async fn read(&self, request: &mut Request) -> poem::Result<Vec<u8>> {
        check_head(request)?;
        let mut parts = Box::pin(request.take_body().into_bytes_stream());
        let (mut text, mut room) = (Vec::new(), self.take(0)?);
        while let Some(part) = parts.next().await {
            let part = part.map_err(|cause| match cause.kind() {
                io::ErrorKind::TimedOut => RequestError::TooSlow,
                _ => RequestError::Incomplete,
            })?;
            match self.admit(text.len(), part.len()) {
                Ok(more) => room.merge(more),
                Err(refused) => {
                    request.set_body(Body::from_bytes_stream(parts));
                    return Err(refused);
                }
            }
            text.extend_from_slice(&part);
        }
        request.set_data(Arc::new(room));
        Ok(text)
    }

    /// Room for a part of a body of which so much is there already.
    fn admit(&self, before: usize, part: usize) -> poem::Result<OwnedSemaphorePermit> {
        let after = before + part;
        if after > MAX_BODY {
            return Err(RequestError::TooLarge.into());
        }
        self.take(after.saturating_sub(SMALL) - before.saturating_sub(SMALL))
    }

    fn take(&self, bytes: usize) -> poem::Result<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).map_err(|_| RequestError::TooLarge)?;
        let taken = Arc::clone(&self.0).try_acquire_many_owned(bytes);
        taken.map_err(|_| Error::Overloaded.into())
    }
}

fn check_head(request: &Request) -> poem::Result<()> {
    let declared = request.content_type().unwrap_or_default();
    let (essence, _) = declared.split_once(';').unwrap_or((declared, ""));
    if !essence.trim().eq_ignore_ascii_case("application/json") {
        return Err(RequestError::ContentType.into());
    }
    let length = request.header(header::CONTENT_LENGTH);
    match length.and_then(|length| length.parse::<usize>().ok()) {
        Some(length) if length > MAX_BODY => Err(RequestError::TooLarge.into()),
        _ => Ok(()),
    }
}

/// Reads what a client is still sending, within bounds: it would get a broken connection in place
/// of an answer that comes before it is done. A client that asks first is told without.
pub(crate) async fn read_away(request: &mut Request) {
    const AT_MOST: usize = 32 * MAX_BODY;
    const TIME: Duration = Duration::from_secs(5);
    if request.headers().contains_key(header::EXPECT) {
        return;
    }
    let mut parts = Box::pin(request.take_body().into_bytes_stream());
    let reading = async {
        let mut length = 0;
        while let Some(Ok(part)) = parts.next().await {
            length += part.len();
            if length > AT_MOST {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(TIME, reading).await;
}
