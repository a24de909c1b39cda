//! Request bodies, whose time limit grows with their length.

use std::{io, time::Duration};

use futures_util::{StreamExt, stream};
use poem::Body;
use tokio::time::{Instant, timeout_at};

/// The lowest rate at which a long body may arrive, and an HTTP/2 response be read: 80 kbit/s.
const MIN_BYTES_PER_MILLISECOND: usize = 10;

/// How long so many bytes take at the lowest rate.
pub(super) fn time_at_lowest_rate(bytes: usize) -> Duration {
    let milliseconds = u64::try_from(bytes / MIN_BYTES_PER_MILLISECOND);
    Duration::from_millis(milliseconds.unwrap_or(u64::MAX))
}

/// The same body, which fails with [`io::ErrorKind::TimedOut`] if the client takes longer than
/// `timeout` plus the time that the bytes received so far take at the lowest rate.
pub(super) fn with_deadline(body: Body, timeout: Duration) -> Body {
    if body.is_empty() {
        return body;
    }
    let deadline = Instant::now() + timeout;
    let parts = Box::pin(body.into_bytes_stream());
    Body::from_bytes_stream(stream::try_unfold(
        (parts, deadline),
        |(mut parts, deadline)| async move {
            let Ok(part) = timeout_at(deadline, parts.next()).await else {
                return Err(io::Error::from(io::ErrorKind::TimedOut));
            };
            let part = part.transpose()?;
            Ok(part.map(|part| {
                let earned = time_at_lowest_rate(part.len());
                (part, (parts, deadline + earned))
            }))
        },
    ))
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    fn dribble(part: &'static [u8], pause: Duration) -> Body {
        Body::from_bytes_stream(stream::unfold((), move |()| async move {
            tokio::time::sleep(pause).await;
            Some((Ok::<_, io::Error>(part), ()))
        }))
    }

    #[tokio::test]
    async fn a_body_that_dribbles_times_out_and_one_that_keeps_the_rate_does_not() {
        const TIMEOUT: Duration = Duration::from_millis(300);
        let pause = TIMEOUT / 10;
        let slow = with_deadline(dribble(b"x", pause), TIMEOUT).into_bytes();
        let end = timeout(100 * TIMEOUT, slow).await.expect("an end");
        assert!(end.is_err());

        let long = with_deadline(dribble(&[0; 10_000], pause), TIMEOUT);
        assert_eq!(long.into_bytes_stream().take(20).count().await, 20);
    }
}
